import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { UserError } from "../../model/error.ts";
import { homeFolder } from "../../model/home.ts";
import { object, string, type Json } from "../../model/json.ts";
import type { Reference } from "../reference.ts";

/** Of a registry's user: a password, or an identity token to get tokens with. */
export interface Credential {
  readonly username: string;
  readonly password: string;
  readonly identityToken: string | undefined;
  /** Where it was found, for errors. */
  readonly from: string;
}

/** What Docker's credential helpers take for a user name where the secret is an identity token. */
const TOKEN_USER = "<token>";
/** Docker Hub goes by its first API's address in Docker's configuration. */
const HUB_KEYS = ["https://index.docker.io/v1/", "docker.io", "index.docker.io", "registry-1.docker.io"];

/**
 * The files that credentials are looked for in, the first that knows the registry wins: --registry-config alone where it is given,
 * else Podman's (REGISTRY_AUTH_FILE, or containers/auth.json in XDG_RUNTIME_DIR and below the configuration), then Docker's.
 */
export function credentialFiles(given: string | undefined, env: NodeJS.ProcessEnv): string[] {
  if (given !== undefined) return [given];
  const home = homeFolder(env);
  const config = env["XDG_CONFIG_HOME"] || (home === undefined ? undefined : join(home, ".config"));
  const docker = env["DOCKER_CONFIG"] || (home === undefined ? undefined : join(home, ".docker"));
  const podman = env["REGISTRY_AUTH_FILE"]
    ? [env["REGISTRY_AUTH_FILE"]]
    : [env["XDG_RUNTIME_DIR"], config].flatMap((folder) => (folder ? [join(folder, "containers", "auth.json")] : []));
  return [...podman, ...(docker === undefined ? [] : [join(docker, "config.json")])];
}

/**
 * Of the file's `credHelpers`, `auths`, `credsStore`, as Docker and Podman read it; undefined where none of them knows the
 * registry. Throws a UserError where a file that was named, or a credential helper, cannot be used.
 */
export async function findCredential(
  reference: Reference,
  given: string | undefined,
  env: NodeJS.ProcessEnv,
): Promise<Credential | undefined> {
  for (const path of credentialFiles(given, env)) {
    const config = await readConfig(path, given !== undefined);
    const found = config === undefined ? undefined : await credentialIn(config, reference, path, env);
    if (found !== undefined) return found;
  }
  return undefined;
}

async function readConfig(path: string, named: boolean): Promise<Json | undefined> {
  try {
    return object(JSON.parse(await readFile(path, "utf8")));
  } catch (error) {
    if (!named && (error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    // A parser's message would quote the file.
    const why = error instanceof SyntaxError ? "it is not JSON" : (error as Error).message;
    throw new UserError({
      reason: "RegistryConfigUnreadable",
      message: `the registry configuration ${path} cannot be read`,
      why,
      cause: error,
    });
  }
}

async function credentialIn(config: Json, reference: Reference, path: string, env: NodeJS.ProcessEnv): Promise<Credential | undefined> {
  const keys = keysOf(reference);
  const helpers = object(config["credHelpers"]);
  const helperKey = keys.find((key) => string(helpers[key]) !== "");
  if (helperKey !== undefined) return await fromHelper(string(helpers[helperKey]), helperKey, env);
  const auths = object(config["auths"]);
  for (const key of keys) {
    const found = fromAuth(
      object(auths[key] ?? auths[`https://${key}`] ?? auths[`https://${key}/v1/`] ?? auths[`https://${key}/v2/`]),
      path,
    );
    if (found !== undefined) return found;
  }
  const store = string(config["credsStore"]);
  return store === ""
    ? undefined
    : await fromHelper(store, keys.at(reference.registry === "docker.io" ? 0 : -1) ?? reference.registry, env);
}

/** Podman's keys may name a repository or a part of its path: the longest that fits counts; Docker's name the registry alone. */
function keysOf({ registry, repository }: Reference): string[] {
  if (registry === "docker.io") return HUB_KEYS;
  const parts = repository.split("/");
  return [...parts.map((_, index) => `${registry}/${parts.slice(0, parts.length - index).join("/")}`), registry];
}

function fromAuth(entry: Json, path: string): Credential | undefined {
  const [, username = string(entry["username"]), password = string(entry["password"])] =
    /^([^:]*):(.*)$/s.exec(Buffer.from(string(entry["auth"]), "base64").toString("utf8").replace(/\0+$/, "")) ?? [];
  const identityToken = string(entry["identitytoken"]) || undefined;
  if (username === "" && password === "" && identityToken === undefined) return undefined;
  return { username, password, identityToken, from: path };
}

/** `docker-credential-NAME get`: the registry on its stdin, JSON on its stdout (https://github.com/docker/docker-credential-helpers). */
async function fromHelper(name: string, server: string, env: NodeJS.ProcessEnv): Promise<Credential | undefined> {
  const program = `docker-credential-${name}`;
  const failed = (why: string, cause?: unknown): UserError =>
    new UserError({
      reason: "CredentialHelperFailed",
      message: `the credential helper ${program} failed`,
      why,
      fix: `try it: echo ${server} | ${program} get >/dev/null`,
      cause,
    });
  if (!/^[\w.-]+$/.test(name)) throw failed("its name is none of a program");
  const child = spawn(program, ["get"], { env, stdio: ["pipe", "pipe", "pipe"] });
  const ended = new Promise<number | null>((done, fail) => {
    child.on("error", fail);
    child.on("close", done);
  });
  child.stdin.on("error", () => undefined);
  child.stdin.end(server);
  let output: string;
  let said: string;
  let code: number | null;
  try {
    [output, said, code] = await Promise.all([text(child.stdout), text(child.stderr), ended]);
  } catch (error) {
    throw failed((error as NodeJS.ErrnoException).code === "ENOENT" ? "it is not in PATH" : (error as Error).message, error);
  }
  if (code !== 0) {
    if (/credentials not found/i.test(output + said)) return undefined;
    throw failed((said || output).trim().slice(0, 500) || `it ended with exit status ${code}`);
  }
  try {
    const answer = object(JSON.parse(output));
    const [username, secret] = [string(answer["Username"]), string(answer["Secret"])];
    if (username === "" && secret === "") return undefined;
    const isToken = username === TOKEN_USER;
    return {
      username: isToken ? "" : username,
      password: isToken ? "" : secret,
      identityToken: isToken ? secret : undefined,
      from: program,
    };
  } catch (error) {
    throw failed("its answer is not JSON", error);
  }
}
