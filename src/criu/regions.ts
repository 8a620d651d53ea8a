import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import type { Archive } from "../archive/archive.ts";
import { decode, given } from "./decode.ts";
import { MmEntrySchema, MmHeadSchema, VmaEntrySchema, type MmHead, type VmaEntry } from "./gen/memory_pb.ts";
import { hasImage, imageName, onlyEntry, openImage } from "./image.ts";
import { MAX_MAPPINGS } from "./limits.ts";
import { damaged, excessive } from "./problems.ts";

/**
 * What a region of memory is. "vdso" stands for all that the kernel maps by itself, "other" for rings and shadow stacks; of a process
 * whose mappings are unknown, "unknown" is each contiguous piece of its pages.
 */
export type RegionKind = "heap" | "stack" | "file" | "anonymous" | "shared" | "vdso" | "other" | "unknown";

/** A mapping of a process (a VMA). */
export interface Region {
  readonly start: bigint;
  /** The first address after it. */
  readonly end: bigint;
  readonly kind: RegionKind;
  /** "rw-p", as /proc/PID/maps writes it; "unknown" where nothing tells. */
  readonly access: string;
  /** Of the mapped file or of shared memory: where in it the mapping begins, in bytes. */
  readonly offset: bigint;
  /** Of shared memory: names its pagemap. Where it is a memfd, processMemory() finds it. */
  readonly shmid: bigint | undefined;
  /** Of a mapped file or memfd: its id in files.img. */
  readonly fileId: number | undefined;
  /** What else is known of it: "vvar", "sysvipc", … */
  readonly note: string;
  /** MAP_GROWSDOWN. */
  readonly growsDown: boolean;
  /** Of madvise(2): "dontfork", "dontdump", … */
  readonly advice: readonly string[];
}

/** The address space of a process. */
export interface AddressSpace {
  readonly pid: number;
  /** Ascending; undefined where the image that tells them is missing: memory without mappings is still memory. */
  readonly mappings: readonly Region[] | undefined;
  readonly args: AddressRange;
  readonly env: AddressRange;
  /** Of the executable: its id in files.img. */
  readonly exeId: number | undefined;
  /** Of prctl(PR_SET_DUMPABLE): 1 is as usual. */
  readonly dumpable: number | undefined;
  /** What the kernel told the program, in pairs (getauxval(3)); empty where the image of its mappings is missing. */
  readonly auxv: readonly bigint[];
}

export interface AddressRange {
  readonly start: bigint;
  readonly end: bigint;
}

// Bits of vma_entry.status, as CRIU's image format has them.
const STACK = 1 << 1;
const VSYSCALL = 1 << 2;
const VDSO = 1 << 3;
const HEAP = 1 << 5;
const FILE_PRIVATE = 1 << 6;
const FILE_SHARED = 1 << 7;
const ANON_SHARED = 1 << 8;
const ANON_PRIVATE = 1 << 9;
const SYSVIPC = 1 << 10;
const SOCKET = 1 << 11;
const VVAR = 1 << 12;
const AIO_RING = 1 << 13;
const MEMFD = 1 << 14;
const SHADOW_STACK = 1 << 15;
const GUARD = 1 << 16;
const UPROBES = 1 << 17;

const MAP_SHARED = 1;
const MAP_GROWSDOWN = 0x100;

/** Of mm-PID.img; undefined where the process has none (zombies). Throws a UserError where the image is damaged. */
export async function addressSpace(archive: Archive, pid: number): Promise<AddressSpace | undefined> {
  const file = `mm-${pid}.img`;
  if (!hasImage(archive, file)) return undefined;
  const name = imageName(file);
  const bytes = await onlyEntry(await openImage(archive, name));
  const mm = decode(MmHeadSchema, bytes, name);
  const regions: Region[] = [];
  let last = -1n;
  for (const vma of mappings(bytes, name)) {
    // Guard pages come last: they lie within mappings, and nothing is in them.
    if (vma.status & GUARD) continue;
    if (vma.start < last || vma.end <= vma.start) throw damaged(name, `the mapping at 0x${vma.start.toString(16)} is out of order`);
    last = vma.end;
    regions.push(region(vma, mm));
  }
  return {
    pid,
    mappings: regions,
    args: { start: mm.mmArgStart, end: mm.mmArgEnd },
    env: { start: mm.mmEnvStart, end: mm.mmEnvEnd },
    exeId: mm.exeFileId,
    dumpable: given(MmHeadSchema, mm, "dumpable"),
    auxv: mm.mmSavedAuxv,
  };
}

/** Of a process whose mm image is not there. */
export function unknownSpace(pid: number): AddressSpace {
  const nowhere = { start: 0n, end: 0n };
  return { pid, mappings: undefined, args: nowhere, env: nowhere, exeId: undefined, dumpable: undefined, auxv: [] };
}

/** A piece of memory of which only the pages are known. */
export function unknownRegion(start: bigint, end: bigint): Region {
  return {
    start,
    end,
    kind: "unknown",
    access: "unknown",
    offset: 0n,
    shmid: undefined,
    fileId: undefined,
    note: "",
    growsDown: false,
    advice: [],
  };
}

/** The index of the first region that ends after an address; the number of regions where none does. */
export function regionAfter(regions: readonly Region[], address: bigint): number {
  let low = 0;
  let high = regions.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((regions[middle]?.end ?? 0n) <= address) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The region that an address lies in. */
export function regionAt(regions: readonly Region[], address: bigint): Region | undefined {
  const region = regions[regionAfter(regions, address)];
  return region !== undefined && region.start <= address ? region : undefined;
}

/** The mappings in an mm image's message, decoded one at a time: none is kept. */
function* mappings(bytes: Buffer, image: string): Generator<VmaEntry> {
  const reader = new BinaryReader(bytes);
  let vma: Uint8Array | undefined;
  for (let count = 1; (vma = nextMapping(reader, image)) !== undefined; count += 1) {
    if (count > MAX_MAPPINGS) throw excessive(image, `more than ${MAX_MAPPINGS} mappings`);
    yield decode(VmaEntrySchema, vma, image);
  }
}

function nextMapping(reader: BinaryReader, image: string): Uint8Array | undefined {
  try {
    while (reader.pos < reader.len) {
      const [field, wireType] = reader.tag();
      if (field === MmEntrySchema.field.vmas.number && wireType === WireType.LengthDelimited) return reader.bytes();
      reader.skip(wireType, field);
    }
    return undefined;
  } catch (error) {
    // MmHead may have been read where this cannot: its decoder believes the schema, not the wire types.
    throw damaged(image, "an entry is not a valid mm_entry", error);
  }
}

function region(vma: VmaEntry, mm: MmHead): Region {
  const { start, end, status } = vma;
  const kind = regionKind(vma, mm);
  const memfd = (status & MEMFD) !== 0;
  return {
    start,
    end,
    kind,
    access: access(vma),
    offset: vma.pgoff,
    shmid: kind === "shared" && !memfd ? vma.shmid : undefined,
    fileId: kind === "file" || memfd ? Number(vma.shmid) : undefined,
    note: NOTES.find(([bit]) => (status & bit) !== 0)?.[1] ?? "",
    growsDown: (vma.flags & MAP_GROWSDOWN) !== 0,
    advice: vma.madv === 0n ? NO_ADVICE : ADVICE.filter(([bit]) => (vma.madv >> BigInt(bit)) & 1n).map(([, name]) => name),
  };
}

const NOTES: readonly (readonly [number, string])[] = [
  [VSYSCALL, "vsyscall"],
  [VDSO, "vdso"],
  [VVAR, "vvar"],
  [UPROBES, "uprobes"],
  [SYSVIPC, "sysvipc"],
  [MEMFD, "memfd"],
  [SOCKET, "packet ring"],
  [AIO_RING, "aio ring"],
  [SHADOW_STACK, "shadow stack"],
];

const NO_ADVICE: readonly string[] = [];

/** Bits by number of advice, from sys/mman.h. */
const ADVICE = [
  [10, "dontfork"],
  [12, "mergeable"],
  [14, "hugepage"],
  [15, "nohugepage"],
  [16, "dontdump"],
  [18, "wipeonfork"],
] as const;

function regionKind({ start, end, status, flags }: VmaEntry, mm: MmHead): RegionKind {
  if (status & (VSYSCALL | VDSO | VVAR | UPROBES)) return "vdso";
  if (status & (ANON_SHARED | SYSVIPC) || (status & MEMFD && flags & MAP_SHARED)) return "shared";
  if (status & (SOCKET | AIO_RING | SHADOW_STACK)) return "other";
  if (status & (FILE_PRIVATE | FILE_SHARED | MEMFD)) return "file";
  if (status & HEAP || (start < mm.mmBrk && end > mm.mmStartBrk)) return "heap";
  // Others may grow downwards too.
  if (status & STACK || (start <= mm.mmStartStack && mm.mmStartStack < end)) return "stack";
  return status & ANON_PRIVATE ? "anonymous" : "other";
}

function access({ prot, status, flags }: VmaEntry): string {
  const shared = status & (FILE_SHARED | ANON_SHARED | SYSVIPC) || flags & MAP_SHARED;
  return `${prot & 1 ? "r" : "-"}${prot & 2 ? "w" : "-"}${prot & 4 ? "x" : "-"}${shared ? "s" : "p"}`;
}
