import { chown, open, readFile, realpath, stat, unlink } from "node:fs/promises";
import { basename, dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isDeepStrictEqual } from "node:util";
import { Directory } from "../../local/directory.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import type { UserPlace } from "../kubeconfig/options.ts";
import { kubeconfigText } from "../kubeconfig/files.ts";

export interface Tokens {
  readonly idToken: string;
  readonly refreshToken: string;
}

/** kubectl holds its lock for as long as it takes to write a file. */
const LOCK_PATIENCE_MS = 5000;

/** What the file has by now of a user's auth provider; undefined where it has none. Throws the file system's errors. */
export async function readTokens({ file, user }: UserPlace): Promise<Tokens | undefined> {
  const config = await settingsOf(await readFile(file), user);
  return config && { idToken: string(config["id-token"]), refreshToken: string(config["refresh-token"]) };
}

/**
 * Puts new tokens into the kubeconfig, locked as client-go locks it, at once, with its mode, its owner and everything else in it as it
 * was. Where somebody has put others there meanwhile, these stay.
 */
export async function writeTokens(place: UserPlace, old: Tokens, tokens: Tokens): Promise<void> {
  const { file, user } = place;
  await locked(`${file}.lock`, async () => {
    const bytes = await readFile(file);
    const there = await settingsOf(bytes, user);
    if (there === undefined || string(there["refresh-token"]) !== old.refreshToken || string(there["id-token"]) !== old.idToken) return;
    const text = await replaced(bytes, user, old, tokens);
    const target = await realpath(file);
    const { mode, uid, gid } = await stat(target);
    await using directory = await Directory.open(dirname(target), { anyones: true });
    await directory.replace(basename(target), text, mode & 0o777);
    if (process.getuid?.() === 0) await chown(target, uid, gid);
  });
}

async function locked(lock: string, work: () => Promise<void>): Promise<void> {
  const deadline = performance.now() + LOCK_PATIENCE_MS;
  for (;;) {
    try {
      // As client-go's, whose mode is 0.
      await (await open(lock, "wx", 0o600)).close();
      break;
    } catch (error) {
      const taken = (error as NodeJS.ErrnoException).code === "EEXIST";
      if (taken && performance.now() > deadline) throw new Error(`${lock} is there: if no kubectl is running, remove it`, { cause: error });
      if (!taken) throw error;
      await sleep(100);
    }
  }
  try {
    await work();
  } finally {
    await unlink(lock).catch(() => undefined);
  }
}

async function load(text: string): Promise<Json> {
  const { load: loadYaml } = await import("js-yaml");
  return object(loadYaml(text, { json: true }));
}

async function settingsOf(bytes: Buffer, user: string): Promise<Record<string, unknown> | undefined> {
  return settingsIn(await load(kubeconfigText(bytes)), user);
}

function settingsIn(kubeconfig: Json, user: string): Record<string, unknown> | undefined {
  const entry = list(kubeconfig["users"])
    .map(object)
    .find(({ name }) => name === user);
  const config = object(object(object(entry)["user"])["auth-provider"])["config"];
  return typeof config === "object" && config !== null ? (config as Record<string, unknown>) : undefined;
}

/** The file's text with the new tokens: where that can be, only they change in it; else it is written anew. */
async function replaced(bytes: Buffer, user: string, old: Tokens, tokens: Tokens): Promise<string> {
  const text = kubeconfigText(bytes);
  const wanted = structuredClone(await load(text));
  const settings = settingsIn(wanted, user) ?? {};
  settings["id-token"] = tokens.idToken;
  settings["refresh-token"] = tokens.refreshToken;
  const withId = old.idToken === "" ? withNewKey(text, old.refreshToken, tokens.idToken) : text.replaceAll(old.idToken, tokens.idToken);
  const edited = withId.replace(scalar("refresh-token", old.refreshToken), (_, before: string) => `${before}${tokens.refreshToken}`);
  const isIt = await load(edited).then(
    (loaded) => isDeepStrictEqual(loaded, wanted),
    () => false,
  );
  if (isIt) return edited;
  if (text.trimStart().startsWith("{")) return `${JSON.stringify(wanted, null, 2)}\n`;
  const { dump } = await import("js-yaml");
  return dump(wanted, { noRefs: true, lineWidth: -1 });
}

/** A line `id-token: …` before the one of the refresh token, as deep as that. */
function withNewKey(text: string, refreshToken: string, idToken: string): string {
  const line = new RegExp(`^(\\s*)refresh-token:\\s*["']?${escaped(refreshToken)}["']?\\s*$`, "m");
  return text.replace(line, (whole: string, indent: string) => `${indent}id-token: ${idToken}\n${whole}`);
}

function scalar(key: string, value: string): RegExp {
  return new RegExp(`(["']?${key}["']?\\s*:\\s*["']?)${escaped(value)}(?=["']?\\s*[,}\\r\\n])`);
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`);
}
