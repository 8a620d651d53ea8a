import type { Archive, HostileMember, Member, OpenArchive, Reading, RemoteImage } from "../../../archive/archive.ts";
import { Budget } from "../../../archive/budget.ts";
import { openLayer } from "../../../archive/bytes.ts";
import { openImage } from "../../../archive/open.ts";
import { rootfsChange } from "../../../archive/rootfs.ts";
import { pieces } from "../../../archive/sources.ts";
import type { Directory } from "../../../local/directory.ts";
import { Root } from "../../../local/root.ts";
import { writeNew } from "../../../local/write.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";
import type { Source } from "../../../model/source.ts";
import { paidFor } from "../extract/extract.ts";

/** What a file was in the container: it is written with mode 0600, as whoever writes it. */
interface Attributes {
  readonly type: Member["type"];
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly bytes: number;
  readonly target: string;
}

/** A root file system that was written. */
export interface WrittenRoot extends AsyncDisposable {
  readonly path: string;
  readonly files: number;
  readonly bytes: number;
  /** The file that has the modes. */
  readonly listing: string;
  /** Devices, FIFOs and sockets are only listed. */
  readonly special: number;
  readonly names: readonly HostileMember[];
  readonly problems: readonly UserError[];
  /** A file of it, links followed; undefined where there is none. Its bytes may be read until the root is disposed. */
  open(path: string): Promise<Source | undefined>;
}

/** In the root itself, where nothing of a container is called so. */
const LISTING = ".kubectl-checkpoint-modes.tsv";
const WHITEOUT = ".wh.";
const OPAQUE = ".wh..wh..opq";

/**
 * Writes what the container saw into a new directory: the layers of its image one over the other, and over them what it changed. `reference` is
 * the image's: see openImage. Takes over the directory. Throws a UserError.
 */
export async function writeRoot(
  archive: Archive,
  reference: string,
  architecture: string | undefined,
  directory: Directory,
  reading: Reading,
): Promise<WrittenRoot> {
  const root = new Root<Attributes>(directory);
  try {
    const writer = new Writer(root, archive.budget, reading.signal);
    await using image = await openImage(reference, { ...reading, budget: Budget.withoutClock() }, architecture);
    await archive.budget.excused(async () => await writer.applyLayers(image, reference, reading));
    await writer.applyChange(archive);
    await writeNew(directory, LISTING, listing(root), reading.signal);
    return written(writer, root, directory);
  } catch (error) {
    await root[Symbol.asyncDispose]();
    throw error;
  }
}

class Writer {
  readonly root: Root<Attributes>;
  readonly names: HostileMember[] = [];
  readonly problems: UserError[] = [];
  readonly #budget: Budget;
  /** Of what is remembered of it: how long that takes is no matter of the archive's. */
  readonly #kept = Budget.withoutClock();
  readonly #signal: AbortSignal;
  files = 0;
  bytes = 0;
  special = 0;

  constructor(root: Root<Attributes>, budget: Budget, signal: AbortSignal) {
    this.root = root;
    this.#budget = budget;
    this.#signal = signal;
  }

  async applyLayers({ layers }: RemoteImage, reference: string, reading: Reading): Promise<void> {
    for (const [index, packed] of layers.entries()) {
      const label = `layer ${index + 1} of ${reference}`;
      // As much may be written of it as of an archive of its size.
      this.#budget.opened(packed.bytes);
      // Each layer is let go of before the next one: what it may take counts for it alone.
      await using layer = await openLayer(packed.open(), label, packed.bytes, { ...reading, budget: Budget.withoutClock() });
      await layer.rest();
      this.#note(label, layer);
      const whiteouts = [...layer.members.keys()].filter((name) => baseName(name).startsWith(WHITEOUT));
      for (const name of whiteouts) {
        const directory = `/${name.slice(0, name.length - baseName(name).length)}`;
        if (baseName(name) === OPAQUE) await this.root.empty(directory);
        else await this.root.remove(directory + baseName(name).slice(WHITEOUT.length));
      }
      for (const member of layer.members.values()) {
        if (!baseName(member.name).startsWith(WHITEOUT)) await this.#apply(`/${member.name}`, member, () => layer.open(member.name));
      }
    }
  }

  async applyChange(archive: Archive): Promise<void> {
    await using change = await rootfsChange(archive, this.#signal);
    for (const problem of change.problems)
      this.problems.push(new UserError({ reason: "ArchiveDamaged", message: say`${change.member}: ${problem}` }));
    this.names.push(...change.leftOut);
    for (const path of change.opaque) await this.root.empty(path);
    for (const path of change.deleted) await this.root.remove(path);
    for (const [path, member] of change.members) await this.#apply(path, member, () => change.open(path));
  }

  #note(label: string, { problems, hostile, complete }: OpenArchive): void {
    for (const problem of complete ? problems : [...problems, "it is cut short"])
      this.problems.push(new UserError({ reason: "ArchiveDamaged", message: say`${label}: ${problem}` }));
    this.names.push(...hostile);
  }

  async #apply(path: string, { type, size, mode, uid, gid, target }: Member, open: () => Source): Promise<void> {
    this.#signal.throwIfAborted();
    // A file of the listing's name would be replaced by it.
    if (path === `/${LISTING}`) return;
    this.#kept.keep("the root file system", ITEMS_PER_FILE, path.length / 4);
    const attributes = { type, mode, uid, gid, bytes: size, target };
    if (type === "directory") await this.root.directory(path, attributes);
    else if (type === "symlink") await this.root.link(path, target, attributes);
    else if (type === "file") {
      await this.root.file(path, paidFor(pieces(open()), this.#budget), this.#signal, attributes);
      this.files += 1;
      this.bytes += size;
    } else {
      await this.root.other(path, attributes);
      this.special += 1;
    }
  }
}

/** What is remembered of a file, of an object that the budget counts. */
const ITEMS_PER_FILE = 0.75;

function baseName(name: string): string {
  return name.slice(name.lastIndexOf("/") + 1);
}

const HEADER = "mode\tuid\tgid\ttype\tbytes\tpath\ttarget\n";

/** Names have neither tabs nor line breaks (nameText). */
async function* listing(root: Root<Attributes>): AsyncGenerator<Buffer> {
  let lines = HEADER;
  for (const [path, { mode, uid, gid, type, bytes, target }] of root.notes()) {
    lines += `0${(mode & 0o7777).toString(8).padStart(3, "0")}\t${uid}\t${gid}\t${type}\t${bytes}\t${path}\t${target}\n`;
    if (lines.length < 1 << 16) continue;
    yield Buffer.from(lines);
    lines = "";
  }
  yield Buffer.from(lines);
}

function written({ files, bytes, special, names, problems }: Writer, root: Root<Attributes>, directory: Directory): WrittenRoot {
  const open = new Map<string, Promise<OpenFile | undefined>>();
  return {
    path: root.path,
    files,
    bytes,
    listing: directory.pathOf(LISTING),
    special,
    names,
    problems,
    async open(path) {
      const file = open.get(path) ?? openFile(root, path);
      open.set(path, file);
      return (await file)?.source;
    },
    async [Symbol.asyncDispose]() {
      for (const file of open.values()) await (await file.catch(() => undefined))?.close();
      await root[Symbol.asyncDispose]();
    },
  };
}

interface OpenFile {
  readonly source: Source;
  readonly close: () => Promise<void>;
}

async function openFile(root: Root<Attributes>, path: string): Promise<OpenFile | undefined> {
  const file = await root.open(path);
  if (file === undefined) return undefined;
  const { size } = await file.stat();
  return {
    source: {
      size,
      async read(offset, length) {
        const bytes = Buffer.alloc(length);
        const { bytesRead } = await file.read(bytes, 0, length, offset);
        if (bytesRead < length)
          throw new UserError({ reason: "DestinationReplaced", message: say`${root.path}${path} has become shorter` });
        return bytes;
      },
    },
    close: async () => await file.close(),
  };
}
