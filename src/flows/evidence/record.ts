import { readFile } from "node:fs/promises";
import { callJson } from "../../cluster/api.ts";
import { whoAmI } from "../../cluster/access.ts";
import { apiPath } from "../../cluster/connection.ts";
import { API_VERSION, type CheckpointItem, type Copy, type InterruptedThread } from "../../model/documents.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import type { NodeArchive } from "../../model/location.ts";
import { replaceFile } from "../../local/destination.ts";
import type { Directory } from "../../local/directory.ts";
import type { BroughtVolumes } from "../collect/volumes/bring.ts";
import type { FlowContext } from "../context.ts";
import type { PrivateRecords } from "./private-record.ts";
import { LOG_LINES, nodeScene, sceneOf, type Of } from "./scene.ts";

/** What is known of an archive besides its bytes. */
export interface RecordFacts {
  /** Of the checkpoint that made it, where this command took it. */
  readonly item?: CheckpointItem;
  /** The pod's API object at that time; undefined where it is not known any more. */
  readonly pod?: Json;
}

export interface RecordRequest {
  readonly archive: NodeArchive;
  /** Where the archive and its record are. */
  readonly directory: Directory;
  /** The record's, there. */
  readonly name: string;
  readonly copy: Copy & { readonly path: string; readonly record: string };
  readonly facts: RecordFacts;
  /** Threads whose system call the checkpoint interrupted. */
  readonly interrupted?: readonly InterruptedThread[];
  readonly helperImage: string;
  /** Of encrypted archives. */
  readonly records?: PrivateRecords;
  readonly surroundings: Promise<Surroundings>;
  readonly volumes?: Promise<BroughtVolumes | undefined> | undefined;
  /** When the hash was complete on either side, RFC 3339. */
  readonly hashedAt: { readonly node: string; readonly here: string };
}

/**
 * FILE.json beside FILE, mode 0600: the result's document, and under `record` what proves it later: who took it, where, with
 * what, the pod's manifest, and both hashes with the times at which they were computed. Throws LocalDiskFull and DestinationUnusable.
 */
export async function writeRecord(context: FlowContext, request: RecordRequest): Promise<void> {
  const { archive, directory, name, copy, facts, interrupted } = request;
  const known = facts.item ?? { node: archive.node, nodePath: archive.path };
  const brought = await request.volumes;
  const volumes = brought === undefined ? {} : { volumes: brought.volumes };
  const item = { ...known, copy, ...volumes, ...(interrupted === undefined ? {} : { interrupted }) };
  const document = {
    apiVersion: API_VERSION,
    kind: facts.item === undefined ? "CopyList" : "CheckpointList",
    clockOffsetSeconds: context.connection.clock.seconds,
    items: [item],
    record: { ...(await evidence(context, request)), ...(brought === undefined ? {} : { volumes: brought.record }) },
  };
  if (request.records !== undefined) await request.records.write(directory, name, document);
  else await directory.replace(name, `${JSON.stringify(document, undefined, 2)}\n`);
}

/**
 * The record with what became of the original, which is known only after the archive is in its place. Of a record that is not there any
 * more, or not as it was written, nothing is changed. Throws LocalDiskFull and DestinationUnusable.
 */
export async function amendRecord(
  path: string,
  { stillRunning, watchedSeconds, ended, restartCount }: CheckpointItem,
  records?: PrivateRecords,
): Promise<void> {
  const proof = { stillRunning, watchedSeconds, ended, restartCount };
  if (records !== undefined) return await records.amend(path, proof);
  let document: Json;
  try {
    document = object(JSON.parse(await readFile(path, "utf8")));
  } catch {
    return;
  }
  const [item, ...others] = list(document["items"]);
  if (item === undefined || others.length > 0) return;
  await replaceFile(path, `${JSON.stringify({ ...document, items: [{ ...object(item), ...proof }] }, undefined, 2)}\n`);
}

/** What the cluster says of itself, one of its nodes and the user. */
export interface Surroundings {
  readonly server: Json;
  readonly node: Json;
  readonly system: Json;
  readonly user: string | undefined;
  /** When they were asked, RFC 3339. */
  readonly readAt: string;
  /** Of a container that was just checkpointed. */
  readonly scene: Json;
}

/** What may not be read is empty. Never rejects. `of` is the container whose checkpoint was just made. */
export async function surroundingsOf(context: FlowContext, nodeName: string, of?: Of, logLines = LOG_LINES): Promise<Surroundings> {
  const { connection, now } = context;
  const readAt = new Date(now()).toISOString();
  const read = async (path: string): Promise<Json> => object(await callJson(connection, { path }).catch(() => undefined));
  const [server, node, system, user, scene] = await Promise.all([
    read("/version"),
    read(apiPath`/api/v1/nodes/${nodeName}`),
    read("/api/v1/namespaces/kube-system"),
    whoAmI(connection),
    of === undefined ? {} : sceneOf(context, of, logLines),
  ]);
  return { server, node, system, user, readAt, scene };
}

async function evidence(
  { connection, now, version }: FlowContext,
  { archive, copy, facts, helperImage, hashedAt, surroundings }: RecordRequest,
): Promise<object> {
  const { server, node, system, user, readAt, scene } = await surroundings;
  const { kubeletVersion, containerRuntimeVersion, kernelVersion, architecture, osImage } = object(object(node["status"])["nodeInfo"]);
  const { selection } = connection;
  return {
    writtenAt: new Date(now()).toISOString(),
    cluster: { name: selection.clusterName, server: connection.server, uid: string(object(system["metadata"])["uid"]) || undefined },
    user: { cluster: user, kubeconfig: selection.userName, context: selection.contextName },
    versions: { plugin: version, apiserver: server["gitVersion"], kubelet: kubeletVersion, runtime: containerRuntimeVersion },
    node: { name: archive.node, kernel: kernelVersion, architecture, os: osImage, ...nodeScene(node, readAt) },
    helper: { image: helperImage },
    hashes: [
      {
        of: `${archive.node}:${archive.path}`,
        algorithm: "SHA-256",
        value: copy.sha256,
        bytes: copy.bytes,
        computedOn: "node",
        computedAt: hashedAt.node,
      },
      {
        of: copy.path,
        algorithm: "SHA-256",
        value: copy.sha256,
        bytes: copy.bytes,
        computedOn: "here",
        computedAt: hashedAt.here,
      },
    ],
    ...(facts.pod === undefined ? {} : { pod: withoutManagedFields(facts.pod), podReadBefore: facts.item?.startedAt }),
    ...scene,
  };
}

/** They tell which client set which field, at length. */
function withoutManagedFields(pod: Json): Json {
  const { managedFields: _, ...metadata } = object(pod["metadata"]);
  return { apiVersion: "v1", kind: "Pod", ...pod, metadata };
}
