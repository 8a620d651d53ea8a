import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { list, object, string } from "../model/json.ts";
import { cacheDirectory } from "./cache.ts";
import { Directory } from "./directory.ts";

const FILE = "archives.json";
/** A list of more is of no use to anybody who completes a word. */
const MOST_ARCHIVES = 500;
const MOST_CLUSTERS = 8;
/** NODE:ARCHIVE, with no character that a shell gives a meaning to. */
const PLACE = /^[a-z0-9][-a-z0-9.]*:[\w./:@%+,=-]{1,1024}$/;

/** What a kubeconfig's context leads to. */
export interface Listing {
  readonly contextName: string;
  readonly server: string;
}

/** The archives that the last `ls` of this context saw, as NODE:ARCHIVE, the newest first. Never throws: what cannot be read is not known. */
export async function listedArchives(env: NodeJS.ProcessEnv, listing: Listing): Promise<string[]> {
  const known = await knownListings(env);
  return known.find(({ of }) => of === keyOf(listing))?.places ?? [];
}

/** Keeps their names, and nothing else of them, for completion, in a file of this user alone. Never throws. */
export async function rememberListed(env: NodeJS.ProcessEnv, listing: Listing, places: readonly string[]): Promise<void> {
  try {
    const path = await cacheDirectory(env);
    if (path === undefined) return;
    const own = { of: keyOf(listing), places: places.filter((place) => PLACE.test(place)).slice(0, MOST_ARCHIVES) };
    const others = (await knownListings(env)).filter(({ of }) => of !== own.of);
    await using directory = await Directory.openOrMake(path);
    await directory.replace(FILE, JSON.stringify([own, ...others].slice(0, MOST_CLUSTERS)));
  } catch {
    return;
  }
}

async function knownListings(env: NodeJS.ProcessEnv): Promise<{ of: string; places: string[] }[]> {
  try {
    const path = await cacheDirectory(env);
    if (path === undefined) return [];
    return list(JSON.parse(await readFile(join(path, FILE), "utf8")))
      .map(object)
      .map(({ of, places }) => ({
        of: string(of),
        places: list(places)
          .map(string)
          .filter((place) => PLACE.test(place)),
      }));
  } catch {
    return [];
  }
}

/** Names of contexts and servers are not written down. */
function keyOf({ contextName, server }: Listing): string {
  return createHash("sha256")
    .update(JSON.stringify([contextName, server]))
    .digest("hex")
    .slice(0, 32);
}
