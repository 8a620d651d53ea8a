import type { Archive } from "../../../archive/archive.ts";
import { hex } from "../../../criu/numbers.ts";
import { wordsMatcher } from "../../../criu/search/words.ts";
import type { SecretHit } from "../../../findings/facts.ts";
import { SECRET_KINDS } from "../../../findings/secrets.ts";
import { searchArchive, type Found, type SearchSettings } from "../search/search.ts";

/** Bytes from the beginning of a secret that tell whether it is one. */
const LENGTH = 512;
/** Places that are told apart. */
const MOST_PLACES = 1000;

/** Secrets of known forms in memory, files, volumes that were copied with it, and queues: by kind and place. What cannot be read goes to `tell`. */
export async function secretHits(archive: Archive, options: Pick<SearchSettings, "signal" | "tell" | "volumes">): Promise<SecretHit[]> {
  const words = SECRET_KINDS.flatMap(({ prefixes }) => prefixes.map((prefix) => Buffer.from(prefix)));
  const found = searchArchive(archive, {
    matcher: wordsMatcher(words, LENGTH),
    scopes: new Set(["memory", "files", "queues"]),
    pid: undefined,
    around: 1,
    progress: () => {},
    ...options,
  });
  const hits = new Map<string, SecretHit>();
  for await (const match of found) {
    const text = match.bytes.toString("latin1");
    const kind = SECRET_KINDS.find(({ pattern }) => pattern.exec(text)?.index === 0);
    // A word of a longer one is none.
    if (kind === undefined || /\w/.test(match.before.toString("latin1").slice(-1))) continue;
    const hit = hitOf(kind.name, match);
    const key = `${hit.kind} ${hit.place}`;
    const known = hits.get(key);
    if (known === undefined && hits.size === MOST_PLACES) continue;
    hits.set(key, known === undefined ? hit : { ...known, count: known.count + 1 });
  }
  return [...hits.values()];
}

function hitOf(kind: string, { location }: Found): SecretHit {
  switch (location.in) {
    case "memory": {
      const { process, address } = location;
      return { kind, place: `the memory of process ${process.pid} (${process.comm})`, pid: process.pid, address: hex(address), count: 1 };
    }
    case "files": {
      const path = location.path ?? location.member;
      return { kind, place: path, path, count: 1 };
    }
    default:
      return { kind, place: location.queue, count: 1 };
  }
}
