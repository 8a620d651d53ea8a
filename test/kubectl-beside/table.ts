// How a case is written, and how it is run: by kubectl, then by the plugin, with the same kubeconfig, flags and environment.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { environment } from "../e2e/harness.ts";
import { ask } from "./ask.ts";
import type { Side, Site } from "./site.ts";

export interface Given {
  /** An object is written as JSON, which is YAML. Undefined: there is none. */
  readonly kubeconfig?: object | string | Buffer;
  /** More files, beside it. What begins with #! may be executed. */
  readonly files?: Readonly<Record<string, string | Buffer>>;
  readonly args?: readonly string[];
  /** HERE stands for the folder of the files, also in `args`. */
  readonly env?: NodeJS.ProcessEnv;
}

interface Expected {
  /** Of the request as it arrives: the whole is compared with kubectl's. */
  readonly arrives?: string | RegExp;
  /** Both fail before any request is answered: kubectl in these words, the plugin in its own. */
  readonly kubectlSays?: RegExp;
  readonly fails?: { readonly reason: string; readonly says: RegExp };
  /** Why the plugin does not do as kubectl does, which is then not compared: of it, only what it says is looked at. */
  readonly better?: string;
  /** Of the exec plugin, and of the issuer. */
  readonly runs?: number;
  readonly refreshes?: readonly string[];
  /** Files that both leave the same. */
  readonly leaves?: readonly string[];
  /** The plugin asks again where kubectl lets the next request find out. */
  readonly asksAgain?: boolean;
  /** In a process of its own: what Node.js itself reads of the environment. */
  readonly apart?: boolean;
}

export interface Case extends Expected {
  readonly name: string;
  readonly given: (site: Site) => Given | Promise<Given>;
}

export interface Outcome {
  readonly failure: string | undefined;
  readonly reason: string | undefined;
  /** The last request of each server that was asked. */
  readonly request: string | undefined;
  readonly count: number;
  readonly proxied: readonly string[];
  readonly refreshes: readonly string[];
  /** Lines of the file "runs", which exec plugins write. */
  readonly runs: readonly string[];
  readonly left: Readonly<Record<string, unknown>>;
}

export async function outcome(side: Side, site: Site, given: Given, { leaves = [], apart = false }: Case): Promise<Outcome> {
  const folder = site.folder(side);
  const here = (text: string): string => text.replaceAll("HERE", folder);
  for (const [name, content] of Object.entries(given.files ?? {})) {
    site.write(side, name, typeof content === "string" ? here(content) : content);
  }
  const { kubeconfig } = given;
  if (kubeconfig !== undefined) {
    const text = typeof kubeconfig === "string" || Buffer.isBuffer(kubeconfig) ? kubeconfig : here(JSON.stringify(kubeconfig));
    site.write(side, "config", text);
  }
  const args = (given.args ?? []).map(here);
  const { PATH, KUBECONFIG: _, ...base } = environment();
  const env: NodeJS.ProcessEnv = { ...base, PATH: `${folder}:${PATH}`, HOME: folder, KUBECONFIG: join(folder, "config") };
  for (const [name, value] of Object.entries(given.env ?? {})) env[name] = here(value ?? "");
  site.take();
  const ended = side === "kubectl" ? await kubectl(args, env) : apart ? await asProcess(args, env) : await ask(args, env);
  const { requests, proxied, refreshes } = site.take();
  const withoutFolder = (text: string): string => text.replaceAll(folder, "HERE");
  return {
    failure: ended.error && withoutFolder(ended.error.text),
    reason: ended.error?.reason,
    request: requests.findLast((line) => line.includes("/pods/nginx")) ?? requests.at(-1),
    count: requests.filter((line) => line.includes("/pods/nginx")).length,
    proxied,
    refreshes,
    runs: site.read(side, "runs")?.trimEnd().split("\n").map(withoutFolder) ?? [],
    left: Object.fromEntries(leaves.map((file) => [file, inOneForm(withoutFolder(site.named(site.read(side, file) ?? "none")))])),
  };
}

/** JSON by its value; other text as it is. */
function inOneForm(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return text;
  }
}

type Answered = Awaited<ReturnType<typeof ask>>;

async function kubectl(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Answered> {
  const { code, stderr } = await ended("kubectl", ["get", "pod", "nginx", "-o", "name", ...args], env);
  return { error: code === 0 ? undefined : { reason: "", text: stderr } };
}

async function asProcess(args: readonly string[], env: NodeJS.ProcessEnv): Promise<Answered> {
  const { code, stdout, stderr } = await ended(process.execPath, [join(import.meta.dirname, "ask.ts"), ...args], env);
  if (code !== 0) throw new Error(stderr);
  return JSON.parse(stdout) as Answered;
}

async function ended(command: string, args: readonly string[], env: NodeJS.ProcessEnv) {
  return await new Promise<{ code: number | null; stdout: string; stderr: string }>((done) => {
    const child = execFile(command, args, { env, timeout: 120_000 }, (_error, stdout, stderr) =>
      done({ code: child.exitCode, stdout, stderr }),
    );
    child.stdin?.end();
  });
}
