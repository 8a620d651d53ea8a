import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { isatty } from "node:tty";
import { serverTls, certified } from "./tls.ts";
import type { Context } from "../../model/context.ts";
import { UserError } from "../../model/error.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import { say, type Text } from "../../model/phrase.ts";
import type { Entry } from "../kubeconfig/options.ts";
import { programToRun } from "./program.ts";
import type { Part, Source } from "./source.ts";

const EXTENSION = "client.authentication.k8s.io/exec";

interface Answered extends Part {
  /** Milliseconds since the epoch; undefined: until the server refuses it. */
  readonly expires: number | undefined;
}

/**
 * An exec credential plugin (client.authentication.k8s.io): it gets KUBERNETES_EXEC_INFO, and the terminal where it may use it.
 * https://kubernetes.io/docs/reference/config-api/client-authentication.v1/
 */
export class ExecPlugin implements Source {
  readonly #exec: Entry;
  readonly #cluster: Entry;
  readonly #context: Context;
  #answered: Answered | undefined;

  constructor(exec: Entry, cluster: Entry, context: Context) {
    this.#exec = exec;
    this.#cluster = cluster;
    this.#context = context;
  }

  async part(refused: boolean): Promise<Part> {
    const { expires = Infinity } = this.#answered ?? {};
    if (this.#answered === undefined || refused || expires <= this.#context.now()) this.#answered = await this.#run();
    return this.#answered;
  }

  async #run(): Promise<Answered> {
    const { env, signal } = this.#context;
    const command = string(this.#exec["command"]);
    const apiVersion = string(this.#exec["apiVersion"]);
    const mode = this.#exec["interactiveMode"] ?? "IfAvailable";
    const terminal = isatty(0);
    if (mode === "Always" && !terminal) throw this.#failed("it needs a terminal, and standard input is not one");
    const interactive = mode !== "Never" && terminal;
    const info = {
      kind: "ExecCredential",
      apiVersion,
      spec: { ...(this.#exec["provideClusterInfo"] === true ? { cluster: await clusterInfo(this.#cluster) } : {}), interactive },
    };
    const added = list(this.#exec["env"]).map((one) => [string(object(one)["name"]), string(object(one)["value"])] as const);
    const childEnv = { ...env, ...Object.fromEntries(added), KUBERNETES_EXEC_INFO: JSON.stringify(info) };
    const program = await programToRun(command, list(this.#exec["args"]).map(string), childEnv);
    if (program === undefined) throw this.#failed(say`${command} not found`, "command");
    const child = spawn(program.file, program.args, {
      env: childEnv,
      stdio: [interactive ? "inherit" : "ignore", "pipe", "inherit"],
      signal,
      windowsVerbatimArguments: program.verbatim,
    });
    const ended = new Promise<number | NodeJS.Signals>((done, fail) => {
      child.on("error", fail);
      child.on("close", (code, by) => done(code ?? by ?? -1));
    });
    let output: string;
    try {
      const [said, end] = await Promise.all([text(child.stdout), ended]);
      if (end !== 0) throw this.#failed(typeof end === "number" ? say`it ended with exit status ${end}` : say`it was ended by ${end}`);
      output = said;
    } catch (error) {
      if (error instanceof UserError) throw error;
      signal.throwIfAborted();
      const { code, message } = error as NodeJS.ErrnoException;
      throw code === "ENOENT" ? this.#failed(say`${command} not found`, "command") : this.#failed(message);
    }
    return this.#read(output, apiVersion);
  }

  #read(output: string, apiVersion: string): Answered {
    let answer: Json;
    try {
      answer = object(JSON.parse(output));
    } catch {
      throw this.#failed("its answer is not JSON");
    }
    if (answer["kind"] !== "ExecCredential")
      throw this.#failed(say`its answer is of kind "${string(answer["kind"])}", not "ExecCredential"`);
    if (answer["apiVersion"] !== apiVersion) {
      throw this.#failed(say`its answer is of ${string(answer["apiVersion"])}, not of ${apiVersion} as the kubeconfig says`);
    }
    if (answer["status"] === undefined || answer["status"] === null) throw this.#failed("its answer has no status");
    const status = object(answer["status"]);
    const [token, cert, key] = ["token", "clientCertificateData", "clientKeyData"].map((name) => string(status[name]));
    if (!token && !cert && !key) throw this.#failed("its answer has neither a token nor a certificate");
    if (cert && !key) throw this.#failed("its answer has clientCertificateData without clientKeyData");
    if (key && !cert) throw this.#failed("its answer has clientKeyData without clientCertificateData");
    const expires = Date.parse(string(status["expirationTimestamp"]));
    return {
      ...(token ? { authorization: `Bearer ${token}`, kind: "token" as const } : {}),
      ...(cert && key
        ? {
            certificate: certified(cert, "clientCertificateData", key, "clientKeyData", (message, why) =>
              this.#failed(message, undefined, why),
            ),
          }
        : {}),
      expires: Number.isNaN(expires) ? undefined : expires,
    };
  }

  #failed(why: Text, missing?: "command", more?: string): UserError {
    const hint = string(this.#exec["installHint"]);
    return new UserError({
      reason: "ExecPluginFailed",
      message: say`the credential plugin ${string(this.#exec["command"])} failed`,
      why: more === undefined ? why : say`${why}: ${more}`,
      fix: hint === "" ? missing && "install it, or correct users[].user.exec.command in the kubeconfig" : lines(hint),
    });
  }
}

/** The kubeconfig's author wrote it for people: its lines stay lines. */
function lines(textOf: string): Text {
  const parts = textOf.trim().split(/\r?\n/);
  return { literals: ["", ...parts.slice(1).map(() => "\n"), ""], values: parts };
}

/** What a plugin that wants it is told of the cluster. */
async function clusterInfo(cluster: Entry): Promise<Json> {
  const { ca } = await serverTls(cluster);
  const extension = list(cluster["extensions"])
    .map(object)
    .find(({ name }) => name === EXTENSION);
  const text = (name: string): object => (string(cluster[name]) === "" ? {} : { [name]: cluster[name] });
  return {
    server: string(cluster["server"]),
    ...text("tls-server-name"),
    ...(cluster["insecure-skip-tls-verify"] === true ? { "insecure-skip-tls-verify": true } : {}),
    ...(typeof ca === "string" ? { "certificate-authority-data": Buffer.from(ca).toString("base64") } : {}),
    ...text("proxy-url"),
    ...(cluster["disable-compression"] === true ? { "disable-compression": true } : {}),
    config: extension?.["extension"] ?? null,
  };
}
