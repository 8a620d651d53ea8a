import { randomUUID } from "node:crypto";
import { constants } from "node:fs";
import {
  link,
  lstat,
  mkdir,
  open,
  readdir,
  readlink,
  rename,
  rmdir,
  stat,
  statfs,
  symlink,
  unlink,
  type FileHandle,
} from "node:fs/promises";
import { join, resolve } from "node:path";
import { UserError } from "../model/error.ts";
import { command, say } from "../model/phrase.ts";
import { formatBytes } from "../model/units.ts";
import { alreadyExists, systemMessage, writing } from "./failure.ts";

/** Windows has none of these. */
const { O_DIRECTORY = 0, O_NOFOLLOW = 0, O_NONBLOCK = 0 } = constants as Partial<typeof constants>;
const NEW = constants.O_RDWR | constants.O_CREAT | constants.O_EXCL | O_NOFOLLOW;
/** Without O_NONBLOCK a named pipe would be waited for. */
const THERE = O_NOFOLLOW | O_NONBLOCK;

/** Linux shows the open files of a process here: a directory among them is entered by it, whatever its path has become. */
const OPEN_FILES = "/proc/self/fd";

const OWN = 0o600;
const OWN_DIRECTORY = 0o700;
const PERMISSIONS = 0o777;
const STICKY = 0o1000;
const WRITABLE_BY_ALL = 0o002;

/** What tells a file from every other one on this machine, whatever it is called. */
interface Identity {
  readonly dev: bigint;
  readonly ino: bigint;
}

export interface Entry {
  readonly kind: "file" | "directory" | "other";
  readonly bytes: number;
}

/** A file that is being written, and what it is called in its directory until then. */
export interface Unpublished {
  readonly name: string;
  readonly file: FileHandle;
}

export interface DirectoryOptions {
  /** Names in it are gone before anybody could make use of them: it does not matter who else may write there. */
  readonly anyones?: boolean;
  /** Where the open files of this process are shown; another path in tests. */
  readonly openFiles?: string;
}

/**
 * A directory of this machine, opened once: all that is written in it goes to that very directory, also when somebody puts another
 * one into its place meanwhile. On Linux its files are reached through the open directory itself; elsewhere its identity is compared
 * before and after each step. Every method takes the name of a file in it and throws a UserError.
 */
export class Directory implements AsyncDisposable {
  /** Absolute. */
  readonly path: string;
  readonly #identity: Identity;
  readonly #handle: FileHandle | undefined;
  /** The directory as it is reached; undefined where only its path leads to it. */
  readonly #inside: string | undefined;
  readonly #openFiles: string;
  #owner: Promise<bigint> | undefined;

  private constructor(path: string, identity: Identity, handle: FileHandle | undefined, inside: string | undefined, openFiles: string) {
    this.path = path;
    this.#identity = identity;
    this.#handle = handle;
    this.#inside = inside;
    this.#openFiles = openFiles;
  }

  /** Throws where it is not there, is no directory, or anybody may replace the files in it. */
  static async open(path: string, { anyones = false, openFiles = OPEN_FILES }: DirectoryOptions = {}): Promise<Directory> {
    const absolute = resolve(path);
    const directory = await Directory.#openAt(absolute, absolute, 0, openFiles);
    try {
      if (!anyones) await directory.#ensureOwn();
      return directory;
    } catch (error) {
      await directory[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** Makes it where it is not there, mode 0700, with those above it. */
  static async openOrMake(path: string): Promise<Directory> {
    const absolute = resolve(path);
    await writing(absolute, async () => await mkdir(absolute, { recursive: true, mode: OWN_DIRECTORY }));
    return await Directory.open(absolute);
  }

  /** `at` is how it is reached, `path` what it is called. */
  static async #openAt(at: string, path: string, flags: number, openFiles: string): Promise<Directory> {
    const handle = await open(at, constants.O_RDONLY | O_DIRECTORY | flags).catch((error: NodeJS.ErrnoException) => {
      if (/^(ENOENT|ENOTDIR|ELOOP)$/.test(error.code ?? "")) throw noDirectory(path, error);
      // One that may be written but not read, and every one of Windows: its path has to do.
      return undefined;
    });
    try {
      const stats = await (handle === undefined ? stat(at, { bigint: true }) : handle.stat({ bigint: true }));
      if (!stats.isDirectory()) throw noDirectory(path, { code: "ENOTDIR" });
      const inside = handle === undefined ? undefined : `${openFiles}/${handle.fd}`;
      const leads = inside === undefined ? undefined : await stat(inside, { bigint: true }).catch(() => undefined);
      return new Directory(path, stats, handle, leads !== undefined && isSame(leads, stats) ? inside : undefined, openFiles);
    } catch (error) {
      await handle?.close();
      throw error instanceof UserError ? error : noDirectory(path, error as NodeJS.ErrnoException);
    }
  }

  /** The same directory, opened once more. */
  async reopened(): Promise<Directory> {
    return await this.#in(undefined, async (path) => await Directory.#openAt(path, this.path, 0, this.#openFiles));
  }

  /** As results and messages name a file in it. */
  pathOf(name: string): string {
    return join(this.path, name);
  }

  /** What has this name; undefined where nothing has. Links are not followed: they are of kind "other". */
  async look(name: string): Promise<Entry | undefined> {
    return await this.#in(name, async (path) => {
      const stats = await lstat(path).catch(unlessMissing);
      if (stats === undefined) return undefined;
      return { kind: stats.isFile() ? "file" : stats.isDirectory() ? "directory" : "other", bytes: stats.size };
    });
  }

  async names(): Promise<string[]> {
    return await this.#in(undefined, async (path) => await readdir(path));
  }

  /** A new file, of mode 0600 where nothing else is said. Throws AlreadyExists where something has the name, be it a link. */
  async create(name: string, mode = OWN): Promise<FileHandle> {
    return await this.#in(name, async (path) => await open(path, NEW, mode));
  }

  /**
   * The file of this name, to be read and written on; a new one where there is none. Throws DestinationUnusable where it is not a
   * plain file, somebody else's, or has another name besides: whoever made that could read what is written.
   */
  async reopen(name: string): Promise<FileHandle> {
    const file = await this.#in(name, async (path) => {
      const there = await open(path, constants.O_RDWR | THERE).catch(unlessMissing);
      return there ?? (await open(path, NEW, OWN));
    });
    try {
      const stats = await file.stat({ bigint: true });
      if (!stats.isFile()) throw this.#unusable(name, "it is not a plain file");
      if (stats.nlink !== 1n) throw this.#unusable(name, "it has more than one name (hard links)");
      if (!(await this.#isOurs(stats.uid))) throw this.#unusable(name, `it belongs to another user (uid ${stats.uid})`);
      await writing(this.pathOf(name), async () => await file.chmod(OWN));
      return file;
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  /** A plain file, to be read. */
  async read(name: string): Promise<FileHandle> {
    const file = await this.#in(name, async (path) => await open(path, constants.O_RDONLY | THERE));
    if ((await file.stat()).isFile()) return file;
    await file.close();
    throw this.#unusable(name, "it is not a plain file");
  }

  /**
   * Writes a small file, mode 0600 where nothing else is said, which takes the place of what has its name at once; where that fails,
   * what was there stays.
   */
  async replace(name: string, text: string | Uint8Array, mode = OWN): Promise<void> {
    const next = `${name}.new`;
    // Not through a link, nor into what somebody else has put there.
    await this.remove(next);
    const file = await this.create(next, mode);
    try {
      try {
        await writing(this.pathOf(name), async () => {
          await file.writeFile(text);
          // The umask counts for new files; it is not meant here.
          await file.chmod(mode);
        });
        await this.publish({ name: next, file }, name, true);
      } finally {
        await file.close();
      }
    } catch (error) {
      // Half a file would only take up room.
      await this.remove(next).catch(() => undefined);
      throw error;
    }
  }

  /**
   * Gives a finished file its final name: first all of it is on the disk, then the name appears at once, and it is looked whether it
   * is this very file that has it. Throws AlreadyExists where something has the name and is not to be replaced, DestinationReplaced
   * where somebody has changed names meanwhile.
   */
  async publish({ name, file }: Unpublished, final: string, replace: boolean): Promise<void> {
    await writing(this.pathOf(final), async () => await file.sync());
    const own = await file.stat({ bigint: true });
    const isOwn = async (at: string): Promise<boolean> => {
      const stats = await this.#in(at, async (path) => await lstat(path, { bigint: true }).catch(unlessMissing));
      return stats !== undefined && isSame(stats, own);
    };
    await this.ensureThere();
    if (!(await isOwn(name))) throw this.#replaced(name);
    await this.#give(name, final, replace);
    if (!(await isOwn(final))) throw this.#replaced(final);
    await this.#sync();
  }

  /** Where there is none it is well, too. */
  async remove(name: string): Promise<void> {
    await this.#in(name, async (path) => await unlink(path).catch(unlessMissing));
  }

  /** Where a symbolic link points to; undefined where the name is none. */
  async readLink(name: string): Promise<string | undefined> {
    return await this.#in(name, async (path) => {
      const stats = await lstat(path).catch(unlessMissing);
      return stats?.isSymbolicLink() === true ? await readlink(path) : undefined;
    });
  }

  /** A new symbolic link. Throws AlreadyExists. */
  async link(name: string, target: string): Promise<void> {
    await this.#in(name, async (path) => await symlink(target, path));
  }

  /** Whatever has this name, with everything in it; no link is followed. */
  async removeAll(name: string): Promise<void> {
    const entry = await this.look(name);
    if (entry === undefined) return;
    if (entry.kind !== "directory") return await this.remove(name);
    {
      await using inside = await this.enter(name);
      for (const one of await inside.names()) await inside.removeAll(one);
    }
    await this.#in(name, async (path) => await rmdir(path));
  }

  /** A new directory in it, mode 0700, opened. Throws AlreadyExists. */
  async makeDirectory(name: string): Promise<Directory> {
    await this.#in(name, async (path) => await mkdir(path, OWN_DIRECTORY));
    return await this.enter(name);
  }

  /** A directory in it, made where it is not there; not through a link. */
  async directory(name: string): Promise<Directory> {
    return (await this.look(name)) === undefined ? await this.makeDirectory(name) : await this.enter(name);
  }

  /** A directory in it; not through a link. */
  async enter(name: string): Promise<Directory> {
    return await this.#in(name, async (path) => await Directory.#openAt(path, this.pathOf(name), O_NOFOLLOW, this.#openFiles));
  }

  /** Bytes that are free for this user; Infinity where the file system does not say. */
  async freeBytes(): Promise<number> {
    return await statfs(this.#inside ?? this.path).then(
      ({ bavail, bsize }) => bavail * bsize,
      () => Infinity,
    );
  }

  /** Throws LocalDiskFull where `bytes` more would not fit. */
  async ensureRoom(name: string, bytes: number): Promise<void> {
    const free = await this.freeBytes();
    if (bytes <= free) return;
    throw new UserError({
      reason: "LocalDiskFull",
      message: say`not enough space for ${this.pathOf(name)}`,
      why: `it needs ${formatBytes(bytes)}; ${formatBytes(free)} are free`,
      fix: "free some space, or choose another destination",
    });
  }

  /** Makes a file and removes it again. Throws DestinationUnusable where this user cannot. */
  async ensureWritable(): Promise<void> {
    await this.#tried();
  }

  /** Throws DestinationReplaced where its path does not lead to it any more. */
  async ensureThere(): Promise<void> {
    const there = await stat(this.path, { bigint: true }).catch(unlessMissing);
    if (there !== undefined && isSame(there, this.#identity)) return;
    throw new UserError({
      reason: "DestinationReplaced",
      message: say`${this.path} was moved or replaced while it was in use`,
      fix: "choose another destination",
    });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#handle?.close();
  }

  /** Runs something on a file in it. A name is one name: no path leads out of the directory. */
  async #in<T>(name: string | undefined, work: (path: string) => Promise<T>): Promise<T> {
    if (name !== undefined && (/^(|\.|\.\.)$/.test(name) || /[/\0]/.test(name) || (O_NOFOLLOW === 0 && name.includes("\\"))))
      throw new Error(`"${name}" is not the name of a file in a directory`);
    const shown = name === undefined ? this.path : this.pathOf(name);
    if (this.#inside !== undefined) {
      const path = name === undefined ? this.#inside : `${this.#inside}/${name}`;
      return await writing(shown, async () => await work(path));
    }
    await this.ensureThere();
    const result = await writing(shown, async () => await work(shown));
    await this.ensureThere();
    return result;
  }

  async #give(name: string, final: string, replace: boolean): Promise<void> {
    const renamed = async (): Promise<void> => await this.#in(name, async (from) => await rename(from, this.#beside(from, final)));
    if (replace) return await renamed();
    try {
      await this.#in(name, async (from) => await link(from, this.#beside(from, final)));
    } catch (error) {
      const { code } = ((error as UserError).cause ?? error) as NodeJS.ErrnoException;
      if (code === "EEXIST") throw alreadyExists(this.pathOf(final), error);
      // File systems without links: the moment between the look and the name is all that can be had.
      if (!/^(EPERM|ENOTSUP|EOPNOTSUPP|ENOSYS|EMLINK|EISDIR|UNKNOWN)$/.test(code ?? "")) throw error;
      if ((await this.look(final)) !== undefined) throw alreadyExists(this.pathOf(final), error);
      return await renamed();
    }
    await this.remove(name);
  }

  #beside(path: string, name: string): string {
    return this.#inside === undefined ? join(path, "..", name) : `${this.#inside}/${name}`;
  }

  /** Where anybody may replace files, one that has been written is nobody's any more. A sticky directory keeps each one's own. */
  async #ensureOwn(): Promise<void> {
    const mode = Number((await this.#stats()).mode);
    if ((mode & WRITABLE_BY_ALL) === 0 || (mode & STICKY) !== 0) return;
    const { keepsModes } = await this.#tried();
    if (!keepsModes) return;
    throw new UserError({
      reason: "DestinationUnsafe",
      message: say`cannot write to ${this.path}: every user of this machine can replace the files in it`,
      why: "everyone may write to it, and it is not sticky",
      fix: say`create a directory of your own: ${command`mkdir -m 700 ${join(this.path, "checkpoints")}`}\nor make it sticky: ${command`chmod +t ${this.path}`}`,
    });
  }

  async #stats() {
    return this.#handle === undefined ? await stat(this.path, { bigint: true }) : await this.#handle.stat({ bigint: true });
  }

  /** What a file of ours is like here: network file systems have their own users, those of other systems no modes. */
  async #tried(): Promise<{ owner: bigint; keepsModes: boolean }> {
    const name = `.kubectl-checkpoint-${randomUUID()}`;
    const file = await this.#in(undefined, async (path) => await open(join(path, name), NEW, OWN));
    try {
      const { uid, mode } = await file.stat({ bigint: true });
      return { owner: uid, keepsModes: (Number(mode) & PERMISSIONS) === OWN };
    } finally {
      await file.close();
      await this.remove(name);
    }
  }

  async #isOurs(uid: bigint): Promise<boolean> {
    // Windows has no such users.
    if (process.geteuid === undefined || uid === BigInt(process.geteuid())) return true;
    this.#owner ??= this.#tried().then(({ owner }) => owner);
    return uid === (await this.#owner);
  }

  /** So that names survive a power cut; Windows cannot, and need not. */
  async #sync(): Promise<void> {
    await this.#handle?.sync().catch(() => undefined);
  }

  #unusable(name: string, why: string): UserError {
    const path = this.pathOf(name);
    return new UserError({ reason: "DestinationUnusable", message: say`cannot write ${path}`, why, fix: command`rm ${path}` });
  }

  #replaced(name: string): UserError {
    return new UserError({
      reason: "DestinationReplaced",
      message: say`${this.pathOf(name)} was replaced while it was being written`,
      fix: "choose a destination that only you may write to",
    });
  }
}

function noDirectory(path: string, cause: Pick<NodeJS.ErrnoException, "code">): UserError {
  if (cause.code === "ENOENT") {
    const fix = command`mkdir ${path}`;
    return new UserError({ reason: "DestinationUnusable", message: say`directory ${path} not found`, fix, exitCode: 2, cause });
  }
  const why = cause.code === "ENOTDIR" || cause.code === "ELOOP" ? undefined : systemMessage(cause);
  const message = why === undefined ? say`${path} is not a directory` : say`cannot open the directory ${path}`;
  return new UserError({ reason: "DestinationUnusable", message, why, fix: "choose another destination", exitCode: 2, cause });
}

/** Some systems have no numbers for files: then any two are the same. */
function isSame(a: Identity, b: Identity): boolean {
  return a.ino === b.ino && (a.dev === b.dev || process.platform === "win32");
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
