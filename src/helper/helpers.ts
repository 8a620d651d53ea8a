import { randomBytes } from "node:crypto";
import { missingRights } from "../cluster/access.ts";
import { callJson } from "../cluster/api.ts";
import { apiPath, type Connection } from "../cluster/connection.ts";
import type { Context } from "../model/context.ts";
import { UserError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { ensureAdmitted, OWN_NAMESPACE } from "./admission.ts";
import { NodeDirectory, type Helper, type Lease } from "./directory.ts";
import { createJob, extendDeadline, podReady, removeJob } from "./job.ts";
import { DEADLINE_SECONDS, type Access, type HelperRequest, type HelperSettings } from "./manifest.ts";
import { reach } from "./reach.ts";
import { PodVolumes } from "./volumes.ts";
import { isPassing, type Transport } from "./transport.ts";
import { helperLost } from "./tunnel.ts";

const FALLBACK_NAMESPACE = "kube-system";
/** A quarter of what the pod's watchdog waits for. */
const SIGN_OF_LIFE_MS = 15_000;
/** Signs of life that may fail before the pod is taken for dead. */
const MISSED = 3;
/** The deadline is put off when less than this is left of it. */
const EXTEND_WITHIN_SECONDS = DEADLINE_SECONDS / 2;

/** The helper pods of one command: one a node and access, shared by all who need it. */
export class Helpers {
  readonly #connection: Connection;
  readonly #context: Context;
  readonly #settings: HelperSettings;
  readonly #shared = new Map<string, { holders: number; started: Promise<Started> | undefined }>();
  readonly #admitted = new Set<string>();
  #namespace: Promise<string> | undefined;

  constructor(connection: Connection, context: Context, settings: HelperSettings) {
    this.#connection = connection;
    this.#context = context;
    this.#settings = settings;
  }

  /** A directory of a node: the kubelet's checkpoint directory, where nothing else is said. All that is asked of it shares one helper pod. */
  directory(node: string, access: Access = "read", path = this.#settings.checkpointDir): NodeDirectory {
    return new NodeDirectory(node, path, this.#lease(node, access, path));
  }

  /** Volumes of a pod: `directory` of the node has one directory for each of these names. All that is asked of them shares one helper pod. */
  volumes(node: string, directory: string, names: readonly string[]): PodVolumes {
    return new PodVolumes(this.#lease(node, "volumes", directory, names));
  }

  #lease(node: string, access: Access, directory: string, volumes: readonly string[] = []): Lease {
    const key = keyOf(node, access, directory, volumes);
    const shared = this.#shared.get(key) ?? { holders: 0, started: undefined };
    this.#shared.set(key, shared);
    shared.holders += 1;
    const letGo = async (): Promise<void> => {
      shared.holders -= 1;
      if (shared.holders > 0 || shared.started === undefined) return;
      this.#shared.delete(key);
      const started = await shared.started.catch(() => undefined);
      // An error here would hide the one that may be on its way.
      await started?.stop().catch((error: unknown) => this.#notRemoved(node, error));
    };
    let gone: Promise<void> | undefined;
    return {
      helper: async () => {
        const current = (shared.started ??= this.#start(node, access, directory, volumes));
        const started = await current.catch((error: unknown) => {
          if (isPassing(error) && shared.started === current) shared.started = undefined;
          throw error;
        });
        if (!started.helper.signal.aborted || this.#context.signal.aborted) return started.helper;
        // Of several who see that it is lost, the first one replaces it.
        if (shared.started === current) shared.started = this.#replace(started, node, access, directory, volumes);
        return (await (shared.started ?? current)).helper;
      },
      [Symbol.asyncDispose]: async () => await (gone ??= letGo()),
    };
  }

  /** The namespace that helper pods go to: never the target's, whose users could read every archive of the node through it. */
  async namespace(): Promise<string> {
    this.#namespace ??= helperNamespace(this.#connection, this.#settings).catch((error: unknown) => {
      this.#namespace = undefined;
      throw error;
    });
    return await this.#namespace;
  }

  /**
   * Asks before anything depends on it whether the cluster would admit the helper pod: see admission.ts. It is not asked again when the pod
   * starts.
   */
  async ensureAdmitted(
    node: string,
    access: Access,
    directory = this.#settings.checkpointDir,
    volumes: readonly string[] = [],
  ): Promise<void> {
    const key = keyOf(node, access, directory, volumes);
    if (this.#admitted.has(key)) return;
    await ensureAdmitted(this.#connection, await this.request(node, access, directory, volumes));
    this.#admitted.add(key);
  }

  /** What would be made, for --dry-run too. */
  async request(
    node: string,
    access: Access,
    directory = this.#settings.checkpointDir,
    volumes: readonly string[] = [],
  ): Promise<HelperRequest> {
    const until = new Date(this.#context.now() + DEADLINE_SECONDS * 1000).toISOString();
    const name = `kubectl-checkpoint-${randomBytes(5).toString("hex")}`;
    const user = this.#connection.selection.userName;
    return { name, namespace: await this.namespace(), node, access, directory, volumes, settings: this.#settings, user, until };
  }

  #notRemoved(node: string, error: unknown): void {
    const why = error instanceof Error ? error.message : String(error);
    this.#context.emit({
      kind: "warning",
      text: say`cannot delete the helper pod on ${node}: ${why}; it ends by itself within two minutes`,
    });
  }

  async #replace(lost: Started, node: string, access: Access, directory: string, volumes: readonly string[]): Promise<Started> {
    await lost.stop().catch((error: unknown) => this.#notRemoved(node, error));
    return await this.#start(node, access, directory, volumes);
  }

  async #start(node: string, access: Access, directory: string, volumes: readonly string[]): Promise<Started> {
    try {
      return await this.#startOne(node, access, directory, volumes);
    } catch (error) {
      const isLost = error instanceof UserError && error.reason === "HelperLost";
      if (!isLost || this.#context.signal.aborted) throw error;
      // It ended, or was deleted, before it was reached: another one, once.
      return await this.#startOne(node, access, directory, volumes);
    }
  }

  async #startOne(node: string, access: Access, directory: string, volumes: readonly string[]): Promise<Started> {
    const { emit, signal } = this.#context;
    const lane = `helper ${access} ${node}`;
    const request = await this.request(node, access, directory, volumes);
    emit({ kind: "activity", lane, text: say`starting the helper pod on ${node}` });
    try {
      if (!this.#admitted.has(keyOf(node, access, directory, volumes))) await ensureAdmitted(this.#connection, request);
      return await startHelper(this.#connection, request, signal, (what) => {
        emit({ kind: "activity", lane, text: say`helper pod on ${node}: ${what}` });
      });
    } finally {
      emit({ kind: "idle", lane });
    }
  }
}

function keyOf(node: string, access: Access, directory: string, volumes: readonly string[]): string {
  return [access, node, directory, ...volumes].join(" ");
}

/** A transport that tells when it meets that the pod is gone, so that nobody waits for a sign of life that stays away. */
function watched(transport: Transport, lost: (error: UserError) => void): Transport {
  const watch = async <T>(work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      if (error instanceof UserError && error.reason === "HelperLost") lost(error);
      throw error;
    }
  };
  const range = transport.range?.bind(transport);
  return {
    ...transport,
    ask: async (...about) => await watch(transport.ask(...about)),
    pour: async (...about) => await watch(transport.pour(...about)),
    ...(range === undefined ? {} : { range: async (...about) => await watch(range(...about)) }),
  };
}

interface Started {
  readonly helper: Helper;
  stop(): Promise<void>;
}

async function helperNamespace(connection: Connection, { namespace }: HelperSettings): Promise<string> {
  if (namespace !== undefined) return namespace;
  const { status } = await connection.call({ path: apiPath`/api/v1/namespaces/${OWN_NAMESPACE}` });
  if (status === 404) return FALLBACK_NAMESPACE;
  if (status === 200) return OWN_NAMESPACE;
  // Who may not read namespaces, but may make Jobs in this one, was given it for this.
  const missing = await missingRights(connection, [{ verb: "create", group: "batch", resource: "jobs", namespace: OWN_NAMESPACE }]);
  return missing.length === 0 ? OWN_NAMESPACE : FALLBACK_NAMESPACE;
}

async function startHelper(
  connection: Connection,
  request: HelperRequest,
  signal: AbortSignal,
  progress: (what: string) => void,
): Promise<Started> {
  const lost = new AbortController();
  const both = AbortSignal.any([signal, lost.signal]);
  let made = false;
  try {
    await createJob(connection, request, signal);
    const startedAt = performance.now();
    const pod = await podReady(connection, request, progress, signal);
    made = true;
    const reached = await reach(connection, pod, both);
    const transport = watched(reached.transport, (error) => lost.abort(error));
    const life = keepAlive(connection, request, transport, startedAt, lost);
    const stop = async (): Promise<void> => {
      life.stop();
      await transport.close();
      await removeJob(connection, request);
    };
    return { helper: { pod, transport, tools: reached.tools, signal: both }, stop };
  } catch (error) {
    await removeJob(connection, request, made).catch(() => undefined);
    throw error;
  }
}

/** Signs of life for the pod's watchdog, and a deadline that moves on as long as they go out. */
function keepAlive(
  connection: Connection,
  request: HelperRequest,
  transport: Transport,
  startedAt: number,
  lost: AbortController,
): { stop(): void } {
  const ended = new AbortController();
  let deadline = DEADLINE_SECONDS;
  let missed = 0;
  let beats = 0;
  const beat = async (): Promise<void> => {
    try {
      await transport.ask(["alive", String((beats += 1))], ended.signal);
      missed = 0;
    } catch (error) {
      if (!ended.signal.aborted) await failed(error);
    }
    const age = (performance.now() - startedAt) / 1000;
    if (ended.signal.aborted || deadline - age > EXTEND_WITHIN_SECONDS) return;
    const next = Math.ceil(age) + DEADLINE_SECONDS;
    await extendDeadline(connection, request, next).then(
      () => (deadline = next),
      () => undefined,
    );
  };
  const failed = async (cause: unknown): Promise<void> => {
    missed += 1;
    if (missed < MISSED && (await jobThere(connection, request))) return;
    lost.abort(helperLost(cause));
  };
  const timer = setInterval(() => void beat(), SIGN_OF_LIFE_MS).unref();
  return {
    stop: () => {
      clearInterval(timer);
      ended.abort();
    },
  };
}

async function jobThere(connection: Connection, { namespace, name }: HelperRequest): Promise<boolean> {
  return await callJson(connection, { path: apiPath`/apis/batch/v1/namespaces/${namespace}/jobs/${name}` }).then(
    () => true,
    () => false,
  );
}
