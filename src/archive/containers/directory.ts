import { closeSync, constants, fstatSync, lstatSync, openSync, readdirSync, readlinkSync } from "node:fs";
import { UserError } from "../../model/error.ts";
import { nameText } from "../../model/name.ts";
import { say } from "../../model/phrase.ts";
import type { Source } from "../../model/source.ts";
import type { Member, OpenArchive } from "../archive.ts";
import type { Budget } from "../budget.ts";
import type { BytesOptions } from "../bytes.ts";
import { readFully } from "../file.ts";
import { charged, checkRange } from "../sources.ts";

/** Windows has none. */
const { O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;
/** Files that are kept open: more are opened again when they are read. */
const MOST_OPEN = 64;
const DEEPEST = 8;
/** What lies at the top of a directory with a checkpoint in it: others are not looked into. */
const EXPECTED = /^(oci-layout|manifest\.json|config\.dump|spec\.dump|pod\.options|(pre-)?checkpoint|.*\.img)$/;
/** Directories there that are gone through; of a pod's, all. */
const ENTERED = /^((pre-)?checkpoint|artifacts|volumes|blobs|[0-9a-f]{64})$/;
const POD = "pod.options";

/**
 * Opens a directory as if it were an archive: an unpacked one, CRIU's images, an OCI layout. Links in it are members, and not followed.
 * Throws a UserError where it holds nothing of the kind, or cannot be read.
 */
export async function openDirectory(path: string, { budget }: BytesOptions): Promise<OpenArchive> {
  const members = new Map<string, Member>();
  const places = new Map<string, Buffer>();
  const problems: string[] = [];
  const files = new OpenFiles();
  let total = 0;
  let isPod = false;
  const visit = (directory: Buffer, prefix: string, depth: number): void => {
    for (const raw of readdirSync(directory, { encoding: "buffer" }).sort((a, b) => Buffer.compare(a, b))) {
      const at = Buffer.concat([directory, SLASH, raw]);
      const name = prefix + nameText(raw);
      const member = memberAt(at, name);
      if (depth === 0 && member.type === "directory" && !isPod && !ENTERED.test(name)) continue;
      budget.keep(path, 1, name.length);
      members.set(name, member);
      places.set(name, at);
      if (member.type === "file") total += member.size;
      if (member.type !== "directory") continue;
      if (depth < DEEPEST) visit(at, `${name}/`, depth + 1);
      else problems.push(`${name} lies too deep to be looked into`);
    }
  };
  reading(path, () => {
    const top = readdirSync(path);
    if (!top.some((name) => EXPECTED.test(name))) {
      throw new UserError({ reason: "NotAnArchive", message: say`${path} is a directory without a checkpoint in it` });
    }
    isPod = top.includes(POD);
    visit(Buffer.from(path), "", 0);
  });
  budget.opened(total);
  return {
    form: "engine",
    compression: "none",
    bytes: total,
    members,
    hostile: [],
    problems,
    complete: true,
    end: total,
    budget,
    open(name) {
      const member = members.get(name);
      const place = places.get(name);
      if (member === undefined || place === undefined)
        throw new UserError({ reason: "NoSuchMember", message: say`there is no ${name} in ${path}` });
      if (member.type !== "file")
        throw new UserError({ reason: "UnreadableMember", message: say`${name} in ${path} is not a file, and is never followed` });
      return files.source(place, member, budget);
    },
    rest: async () => ({ afterArchive: 0, afterCompressed: 0 }),
    [Symbol.asyncDispose]: async () => files.close(),
  };
}

const SLASH = Buffer.from("/");

function memberAt(path: Buffer, name: string): Member {
  const stats = lstatSync(path);
  const type = stats.isFile() ? "file" : stats.isDirectory() ? "directory" : stats.isSymbolicLink() ? "symlink" : "other";
  return {
    name,
    type,
    size: type === "file" ? stats.size : 0,
    mode: stats.mode & 0o7777,
    uid: stats.uid,
    gid: stats.gid,
    modifiedAt: Math.floor(stats.mtimeMs / 1000),
    target: type === "symlink" ? nameText(readlinkSync(path, { encoding: "buffer" })) : "",
  };
}

/** Files of a directory, some of them open. */
class OpenFiles {
  readonly #open = new Map<string, number>();

  source(path: Buffer, { name, size }: Member, budget: Budget): Source {
    return charged(
      {
        size,
        read: async (offset, length, into) => {
          checkRange(size, offset, length);
          return await readFully(this.#file(path, name), offset, length, into);
        },
      },
      budget,
    );
  }

  close(): void {
    for (const fd of this.#open.values()) closeSync(fd);
    this.#open.clear();
  }

  /** The file itself: neither a link that was put there meanwhile, nor a pipe. */
  #file(path: Buffer, name: string): number {
    const known = this.#open.get(name);
    if (known !== undefined) return known;
    const [first] = this.#open;
    if (first !== undefined && this.#open.size >= MOST_OPEN) {
      closeSync(first[1]);
      this.#open.delete(first[0]);
    }
    const fd = reading(name, () => openSync(path, constants.O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    this.#open.set(name, fd);
    if (!fstatSync(fd).isFile()) throw new UserError({ reason: "UnreadableMember", message: say`${name} is not a file any more` });
    return fd;
  }
}

function reading<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof UserError) throw error;
    const { code, message } = error as NodeJS.ErrnoException;
    throw new UserError({
      reason: code === "EACCES" ? "PermissionDenied" : "CannotOpen",
      message: say`cannot read ${name}`,
      why: message,
      cause: error,
    });
  }
}
