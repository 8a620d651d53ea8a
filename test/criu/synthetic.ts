import { create, toBinary, type DescMessage, type MessageInitShape } from "@bufbuild/protobuf";
import type { Archive, Member } from "../../src/archive/archive.ts";
import { Budget } from "../../src/archive/budget.ts";
import { TaskKobjIdsEntrySchema } from "../../src/criu/gen/namespaces_pb.ts";
import { InventoryEntrySchema } from "../../src/criu/gen/inventory_pb.ts";
import { MmEntrySchema, PagemapEntrySchema, PagemapHeadSchema } from "../../src/criu/gen/memory_pb.ts";
import { FileEntrySchema } from "../../src/criu/gen/files_pb.ts";
import { CoreEntrySchema, FsEntrySchema, PstreeEntrySchema } from "../../src/criu/gen/process_pb.ts";
import { ThreadInfoAarch64Schema, ThreadInfoX86Schema } from "../../src/criu/gen/registers_pb.ts";
import { UserError } from "../../src/model/error.ts";

/** Magic words of the images that tests make, from criu-magics.tsv of the facts. */
export const MAGIC = {
  core: 0x55053847,
  files: 0x56303138,
  fdinfo: 0x56213732,
  fs: 0x51403912,
  ghost: 0x52583605,
  ids: 0x54432030,
  inventory: 0x58313116,
  memfd: 0x48453499,
  mm: 0x57492820,
  pagemap: 0x56084025,
  pipesData: 0x56453709,
  pstree: 0x50273030,
  remap: 0x59133954,
} as const;

const COMMON = 0x54564319;

/** Files of an archive by name, its images below "checkpoint/". */
export type Files = Record<string, Buffer>;

/** An archive that is nowhere but in memory. */
export function memoryArchive(files: Files): Archive {
  const members = new Map<string, Member>();
  for (const [name, bytes] of Object.entries(files)) {
    members.set(name, { name, type: "file", size: bytes.length, mode: 0o600, uid: 0, gid: 0, modifiedAt: 0, target: "" });
  }
  return {
    members,
    budget: new Budget(),
    open(name) {
      const bytes = files[name];
      if (bytes === undefined) throw new UserError({ reason: "NoSuchMember", message: `${name} is not there` });
      return {
        size: bytes.length,
        async read(offset, length) {
          if (offset < 0 || offset + length > bytes.length)
            throw new UserError({ reason: "ArchiveDamaged", message: `${name} ends early` });
          return bytes.subarray(offset, offset + length);
        },
      };
    },
  };
}

/** A message in its bytes. */
export function message<D extends DescMessage>(schema: D, init: MessageInitShape<D>): Buffer {
  return Buffer.from(toBinary(schema, create(schema, init)));
}

export interface ImageOptions {
  readonly bigEndian?: boolean;
}

/** An image: its words, then messages with their lengths; a payload follows its message where it is given as the second of a pair. */
export function image(
  magic: number,
  entries: readonly (Buffer | readonly [Buffer, Buffer])[],
  { bigEndian = false }: ImageOptions = {},
): Buffer {
  const u32 = (value: number): Buffer => {
    const bytes = Buffer.alloc(4);
    if (bigEndian) bytes.writeUInt32BE(value);
    else bytes.writeUInt32LE(value);
    return bytes;
  };
  const words = magic === MAGIC.inventory ? [u32(magic)] : [u32(COMMON), u32(magic)];
  const body = entries.flatMap((entry) => (Buffer.isBuffer(entry) ? [u32(entry.length), entry] : [u32(entry[0].length), ...entry]));
  return Buffer.concat([...words, ...body]);
}

/** VMA status bits. */
export const STATUS = { regular: 1, heap: 1 << 5, file: 1 << 6, shared: 1 << 8, anonymous: 1 << 9 } as const;

export interface Mapping {
  readonly start: bigint;
  readonly pages: number;
  readonly status?: number;
  readonly flags?: number;
  readonly shmid?: bigint;
  readonly pgoff?: bigint;
}

export interface Run {
  readonly vaddr: bigint;
  readonly pages: number;
  /** 4 present, 2 lazy, 1 parent; undefined leaves the field out, as CRIU before 3 did. */
  readonly flags?: number | undefined;
  readonly inParent?: boolean;
}

export interface ProcessSpec {
  readonly pid: number;
  readonly ppid?: number;
  readonly comm?: string;
  readonly threads?: number[];
  readonly mappings?: readonly Mapping[];
  readonly runs?: readonly Run[];
  /** The file of pages. */
  readonly bytes?: Buffer;
  readonly args?: { readonly start: bigint; readonly end: bigint };
  readonly env?: { readonly start: bigint; readonly end: bigint };
  /** Of x86-64 or aarch64, by thread. */
  readonly registers?: (tid: number) => MessageInitShape<typeof ThreadInfoX86Schema> | MessageInitShape<typeof ThreadInfoAarch64Schema>;
}

export interface CheckpointSpec extends ImageOptions {
  readonly processes: readonly ProcessSpec[];
  readonly pageSize?: number;
  /** Writes nr_pages where CRIU before 4.2 did. */
  readonly oldPagemap?: boolean;
  /** core_entry.mtype. */
  readonly machine?: number;
}

/** The images of a checkpoint, as CRIU would write them. */
export function checkpoint({ processes, pageSize = 4096, oldPagemap = false, machine = 1, bigEndian = false }: CheckpointSpec): Files {
  const files: Files = {};
  const add = (name: string, magic: number, entries: Parameters<typeof image>[1]): void => {
    files[`checkpoint/${name}`] = image(magic, entries, { bigEndian });
  };
  add("inventory.img", MAGIC.inventory, [message(InventoryEntrySchema, { imgVersion: 2 })]);
  add(
    "pstree.img",
    MAGIC.pstree,
    processes.map(({ pid, ppid = 0, threads = [pid] }) => message(PstreeEntrySchema, { pid, ppid, pgid: pid, sid: pid, threads })),
  );
  add("files.img", MAGIC.files, [message(FileEntrySchema, { type: 1, id: 1, reg: { id: 1, name: "/" } })]);
  for (const { pid, comm = "test", threads = [pid], mappings = [], runs = [], bytes, args, env, registers } of processes) {
    for (const tid of threads) {
      const info = registers === undefined ? {} : threadInfo(machine, registers(tid));
      add(`core-${tid}.img`, MAGIC.core, [message(CoreEntrySchema, { mtype: machine, tc: { taskState: 1, comm }, ...info })]);
    }
    add(`ids-${pid}.img`, MAGIC.ids, [message(TaskKobjIdsEntrySchema, { filesId: pid })]);
    add(`fdinfo-${pid}.img`, MAGIC.fdinfo, []);
    add(`fs-${pid}.img`, MAGIC.fs, [message(FsEntrySchema, { cwdId: 1, rootId: 1 })]);
    add(`mm-${pid}.img`, MAGIC.mm, [
      message(MmEntrySchema, {
        mmArgStart: args?.start ?? 0n,
        mmArgEnd: args?.end ?? 0n,
        mmEnvStart: env?.start ?? 0n,
        mmEnvEnd: env?.end ?? 0n,
        mmSavedAuxv: [6n, BigInt(pageSize)],
        vmas: mappings.map(({ start, pages, status = STATUS.regular | STATUS.anonymous, flags = 0x22, shmid = 0n, pgoff = 0n }) => ({
          start,
          end: start + BigInt(pages * pageSize),
          prot: 3,
          flags,
          status,
          shmid,
          pgoff,
          fd: -1n,
        })),
      }),
    ]);
    files[`checkpoint/pagemap-${pid}.img`] = pagemapImage(pid, runs, { oldPagemap, bigEndian });
    if (bytes !== undefined) files[`checkpoint/pages-${pid}.img`] = bytes;
  }
  return files;
}

function threadInfo(machine: number, registers: ReturnType<NonNullable<ProcessSpec["registers"]>>) {
  return machine === AARCH64
    ? { tiAarch64: message(ThreadInfoAarch64Schema, registers as MessageInitShape<typeof ThreadInfoAarch64Schema>) }
    : { threadInfo: message(ThreadInfoX86Schema, registers as MessageInitShape<typeof ThreadInfoX86Schema>) };
}

/** core_entry.mtype. */
export const AARCH64 = 3;

export function pagemapImage(
  pagesId: number,
  runs: readonly Run[],
  { oldPagemap = false, bigEndian = false }: ImageOptions & { oldPagemap?: boolean } = {},
): Buffer {
  const entries = runs.map(({ vaddr, pages, flags, inParent = false }) =>
    message(PagemapEntrySchema, {
      vaddr,
      inParent,
      ...(flags === undefined ? {} : { flags }),
      ...(oldPagemap ? { compatNrPages: pages } : { nrPages: BigInt(pages) }),
    }),
  );
  return image(MAGIC.pagemap, [message(PagemapHeadSchema, { pagesId }), ...entries], { bigEndian });
}
