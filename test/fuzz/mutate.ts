// One mutated archive for each pair of seed and index: sometimes blind, mostly with the format in mind, so that what is
// wrong lies deep behind headers and checksums that hold.
import { fromBinary, toBinary } from "@bufbuild/protobuf";
import { gunzipSync, gzipSync, zstdCompressSync } from "node:zlib";
import { gnuLongName, pax, TAR_END, tarHeader, tarMember, withChecksum } from "../archive/tars.ts";
import { MmEntrySchema } from "../../src/criu/gen/memory_pb.ts";
import { withSize, type CorpusMember } from "./corpus.ts";
import type { Random } from "./random.ts";

export interface Mutant {
  readonly bytes: Buffer;
  /** What was done, for who looks into a failure. */
  readonly how: readonly string[];
  /** How many bytes it is expanded, at most. */
  readonly expandedBytes: number;
}

/** Where an absolute name would lead, if anything ever followed it. */
export const TRAP = "/tmp/kubectl-checkpoint-fuzz-trap";

export function mutate(archives: readonly (readonly CorpusMember[])[], random: Random): Mutant {
  const how: string[] = [];
  let members: Members = [...random.pick(archives)];
  for (let count = 1 + random.below(4); count > 0; count -= 1) {
    const at = random.below(members.length);
    const [name, change] = random.oneIn(8) ? INSIDE : random.pick(MEMBER_CHANGES);
    how.push(`${name} ${members[at]?.name}`);
    members = change(members, at, random, archives);
  }
  let bytes: Buffer = Buffer.concat([
    ...members.flatMap(({ header, data }) => [header, padded(data)]),
    random.oneIn(20) ? Buffer.alloc(512) : TAR_END,
  ]);
  if (random.oneIn(5)) {
    const [name, change] = random.pick(BLIND);
    how.push(name);
    bytes = change(bytes, random);
  }
  const expandedBytes = bytes.length;
  if (random.oneIn(4)) {
    how.push("compressed");
    bytes = compressed(bytes, random);
    if (random.oneIn(3)) {
      how.push("after that, blind");
      bytes = random.pick(BLIND)[1](bytes, random);
    }
  }
  return { bytes, how, expandedBytes: Math.max(expandedBytes, bytes.length) };
}

/** In one frame or several, with frames that hold nothing between them. */
function compressed(bytes: Buffer, random: Random): Buffer {
  const gzip = random.oneIn(2);
  const frames: Buffer[] = [];
  for (let at = 0; at < bytes.length;) {
    const length = random.oneIn(2) ? bytes.length : 1 + random.below(bytes.length);
    const part = bytes.subarray(at, at + length);
    frames.push(gzip ? gzipSync(part, { level: 1 }) : zstdCompressSync(part));
    if (random.oneIn(8)) frames.push(gzip ? gzipSync("") : skippable(random));
    at += length;
  }
  return Buffer.concat(frames);
}

/** A frame of zstd that decoders pass over. */
function skippable(random: Random): Buffer {
  const data = random.bytes(random.below(100));
  const head = Buffer.alloc(8);
  head.writeUInt32LE(0x184d2a50 + random.below(16), 0);
  head.writeUInt32LE(data.length, 4);
  return Buffer.concat([head, data]);
}

function padded(data: Buffer): Buffer {
  return Buffer.concat([data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

type Members = CorpusMember[];
type MemberChange = (members: Members, at: number, random: Random, archives: readonly (readonly CorpusMember[])[]) => Members;

/** Puts other data into a member, its header fitting. */
function withData(members: Members, at: number, data: Buffer): Members {
  return members.map((member, index) => (index === at ? { ...member, data, header: withSize(member.header, data.length) } : member));
}

function withHeader(members: Members, at: number, change: (header: Buffer) => void, keepSum = true): Members {
  return members.map((member, index) => {
    if (index !== at) return member;
    const header = Buffer.from(member.header);
    change(header);
    return { ...member, header: keepSum ? withChecksum(header) : header };
  });
}

/** The data of members that are no memory, which parsers read. */
function parsed(members: Members, at: number, random: Random): number {
  const candidates = members.flatMap(({ name, data }, index) => (name.includes("/pages-") || data.length === 0 ? [] : [index]));
  return candidates.length === 0 ? at : random.pick(candidates);
}

/** What extracting meets first. */
const INSIDE: readonly [string, MemberChange] = [
  "change the archive inside",
  (members, _at, random) => {
    const target = members.findIndex(({ name }) => name === "rootfs-diff.tar");
    const data = members[target]?.data;
    if (data === undefined) return members;
    const inner = expanded(data);
    const at = random.below(Math.max(1, inner.length / 512)) * 512;
    const changed = Buffer.concat([inner.subarray(0, at), strangeMember(random), inner.subarray(at)]);
    return withData(members, target, random.oneIn(2) ? gzipSync(changed) : changed);
  },
];

const HOSTILE_NAMES = [
  TRAP,
  "../../../../..".concat(TRAP),
  "checkpoint/../../escape",
  "..",
  "/",
  "",
  "a\u001b[31mred",
  "checkpoint/pages-1.img",
  "config.dump",
  "checkpoint",
  "x".repeat(99),
];

const BOUNDARIES = [0, 1, 0x7f, 0x80, 0xff, 0xfffe, 0xffff, 0x7fffffff, 0x80000000, 0xffffffff];

const MEMBER_CHANGES: readonly (readonly [string, MemberChange])[] = [
  [
    "flip bytes in",
    (members, at, random) => {
      const target = parsed(members, at, random);
      const data = Buffer.from(members[target]?.data ?? "");
      for (let count = 1 + random.below(8); count > 0 && data.length > 0; count -= 1) data[random.below(data.length)] = random.below(256);
      return withData(members, target, data);
    },
  ],
  [
    "put a length or number into",
    (members, at, random) => {
      const target = parsed(members, at, random);
      const data = Buffer.from(members[target]?.data ?? "");
      if (data.length >= 12) data.writeUInt32LE(random.pick(BOUNDARIES), random.oneIn(2) ? 8 : random.below(data.length - 3));
      return withData(members, target, data);
    },
  ],
  [
    "grow varints of",
    (members, at, random) => {
      const target = parsed(members, at, random);
      const data = members[target]?.data ?? Buffer.alloc(0);
      const cut = random.below(data.length);
      const varint = Buffer.concat([Buffer.alloc(random.below(10), 0xff), Buffer.from([random.below(128)])]);
      return withData(members, target, Buffer.concat([data.subarray(0, cut), varint, data.subarray(cut + random.below(3))]));
    },
  ],
  [
    "cut",
    (members, at, random) =>
      withData(members, at, (members[at]?.data ?? Buffer.alloc(0)).subarray(0, random.below((members[at]?.data.length ?? 0) + 1))),
  ],
  [
    "append rubbish to",
    (members, at, random) => withData(members, at, Buffer.concat([members[at]?.data ?? Buffer.alloc(0), random.bytes(random.below(600))])),
  ],
  [
    "repeat a part of",
    (members, at, random) => {
      const target = parsed(members, at, random);
      const data = members[target]?.data ?? Buffer.alloc(0);
      const start = random.below(data.length);
      const part = data.subarray(start, start + 1 + random.below(64));
      return withData(
        members,
        target,
        Buffer.concat([data.subarray(0, start), ...Array.from({ length: random.below(2000) }, () => part), data.subarray(start)]),
      );
    },
  ],
  [
    "bomb",
    (members, at, random) => {
      const target = parsed(members, at, random);
      const head = (members[target]?.data ?? Buffer.alloc(0)).subarray(0, 8);
      return withData(members, target, Buffer.concat([head, bomb(random)]));
    },
  ],
  [
    "forge the process tree",
    (members, _at, random) => {
      const target = members.findIndex(({ name }) => name === "checkpoint/pstree.img");
      if (target < 0) return members;
      const pids = members.flatMap(({ name }) => /core-(\d+)\.img$/.exec(name)?.[1] ?? []).map(Number);
      const pid = (): number => (pids.length === 0 || random.oneIn(10) ? random.below(70_000) : random.pick(pids));
      const entries = Array.from({ length: random.oneIn(10) ? 20_000 : random.below(10) }, () =>
        entry([1, pid()], [2, pid()], [3, pid()], [4, pid()], [5, pid()], [5, pid()]),
      );
      return withData(members, target, Buffer.concat([members[target]?.data.subarray(0, 8) ?? Buffer.alloc(0), ...entries]));
    },
  ],
  [
    "forge a pagemap",
    (members, _at, random) => {
      const maps = members.flatMap(({ name }, index) => (name.includes("/pagemap-") ? [index] : []));
      if (maps.length === 0) return members;
      const target = random.pick(maps);
      const huge = (): number => random.pick([0, 1, 2, 16, 4096, 2 ** 31, 2 ** 32, 2 ** 45, 2 ** 52]);
      const entries = Array.from({ length: random.oneIn(10) ? 20_000 : random.below(10) }, (_, index) =>
        entry([1, random.oneIn(3) ? huge() * 4096 : index * 8192], [2, huge()], [4, random.below(9)], [5, huge()]),
      );
      const head = members[target]?.data.subarray(0, 14) ?? Buffer.alloc(0);
      return withData(members, target, Buffer.concat([head, ...entries]));
    },
  ],
  [
    "make many processes of one",
    (members, _at, random) => {
      const tree = members.findIndex(({ name }) => name === "checkpoint/pstree.img");
      const pid = random.pick(members.flatMap(({ name }) => /core-(\d+)\.img$/.exec(name)?.[1] ?? []).concat("1"));
      const of = members.filter(({ name }) => new RegExp(`^checkpoint/(core|mm|pagemap|ids|fs)-${pid}\\.img$`).test(name));
      const count = random.below(random.oneIn(10) ? 300 : 40);
      const pids = Array.from({ length: count }, (_, index) => 100_000 + index);
      const copies = pids.flatMap((copy) =>
        of.map(({ name, header, data }) => {
          const other = name.replace(/\d+\.img$/, `${copy}.img`);
          const renamed = Buffer.from(header);
          renamed.fill(0, 0, 100);
          renamed.write(other, 0);
          return { name: other, header: withChecksum(renamed), data };
        }),
      );
      const entries = pids.map((copy) => entry([1, copy], [2, 1], [3, 1], [4, 1], [5, copy]));
      const data = members[tree]?.data ?? Buffer.alloc(0);
      return [...withData(members, tree, Buffer.concat([data, ...entries])), ...copies];
    },
  ],
  [
    "repeat the mappings of",
    (members, _at, random) => {
      const images = members.flatMap(({ name }, index) => (/\/mm-\d+\.img$/.test(name) ? [index] : []));
      const target = images.length === 0 ? -1 : random.pick(images);
      const data = members[target]?.data ?? Buffer.alloc(0);
      if (data.length < 12) return members;
      try {
        const mm = fromBinary(MmEntrySchema, data.subarray(12));
        const chosen = random.oneIn(2) ? mm.vmas : [random.pick(mm.vmas)];
        const times = random.below(random.oneIn(10) ? 3000 : 50);
        mm.vmas = [...mm.vmas, ...Array.from({ length: times }, () => chosen).flat()];
        const message = toBinary(MmEntrySchema, mm);
        const length = Buffer.alloc(4);
        length.writeUInt32LE(message.length);
        return withData(members, target, Buffer.concat([data.subarray(0, 8), length, message]));
      } catch {
        // An earlier change has broken it.
        return members;
      }
    },
  ],
  ["replace by another's data", (members, at, random, archives) => withData(members, at, random.pick(random.pick(archives)).data)],
  [
    "swap with another",
    (members, at, random) => {
      const other = random.below(members.length);
      const [one, two] = [members[at], members[other]];
      if (one === undefined || two === undefined) return members;
      return members.map((member, index) => (index === at ? two : index === other ? one : member));
    },
  ],
  ["remove", (members, at) => members.filter((_, index) => index !== at || members.length === 1)],
  ["duplicate", (members, at) => members.flatMap((member, index) => (index === at ? [member, member] : [member]))],
  [
    "rename",
    (members, at, random) =>
      withHeader(members, at, (header) => {
        header.fill(0, 0, 100);
        header.write(random.oneIn(2) ? random.pick(HOSTILE_NAMES) : random.pick(members).name, 0, 100);
      }),
  ],
  [
    "retype",
    (members, at, random) =>
      withHeader(members, at, (header) => {
        header.write(random.pick("01234567xgLKSDNVZ".split("")), 156);
        header.write(random.pick([TRAP, "../..", "config.dump", ""]), 157);
      }),
  ],
  [
    "lie about the size of",
    (members, at, random) =>
      withHeader(members, at, (header) => {
        const size = random.pick(["77777777777", "00000000000", "rubbish", "-1", "00000001000", "00007777777"]);
        header.write(size.padEnd(12, "\0"), 124);
        if (random.oneIn(3)) header[124] = 0x80 | random.below(128);
      }),
  ],
  [
    "damage the header of",
    (members, at, random) =>
      withHeader(
        members,
        at,
        (header) => {
          header[random.below(512)] = random.below(256);
        },
        random.oneIn(2),
      ),
  ],
  [
    "put a strange member before",
    (members, at, random) => {
      const blocks = strangeMember(random);
      const header = blocks.subarray(0, 512);
      return members.flatMap((member, index) =>
        index === at ? [{ name: "strange", header, data: blocks.subarray(512) }, member] : [member],
      );
    },
  ],
  [
    "change JSON",
    (members, _at, random) => {
      const json = members.flatMap(({ data }, index) => (data[0] === 0x7b || data[0] === 0x5b ? [index] : []));
      if (json.length === 0) return members;
      const target = random.pick(json);
      const text = members[target]?.data.toString("latin1") ?? "";
      const from = random.below(text.length);
      const to = from + random.below(40);
      return withData(members, target, Buffer.from(text.slice(0, from) + random.pick(JSON_PARTS) + text.slice(to), "latin1"));
    },
  ],
  [
    "change a value of JSON",
    (members, _at, random) => {
      const target = members.findIndex(({ name }) => name === random.pick(["config.dump", "spec.dump", "status.dump"]));
      const text = members[target]?.data.toString("utf8");
      if (text === undefined) return members;
      const values = [...text.matchAll(/"[^"]*"(?=\s*[,}\]])|\btrue\b|\d+/g)];
      const value = values.length === 0 ? undefined : random.pick(values);
      if (value === undefined) return members;
      return withData(
        members,
        target,
        Buffer.from(text.slice(0, value.index) + random.pick(JSON_PARTS) + text.slice(value.index + value[0].length)),
      );
    },
  ],
];

/** Of what an earlier change may have broken, as much as can be had. */
function expanded(data: Buffer): Buffer {
  try {
    return data[0] === 0x1f ? gunzipSync(data) : data;
  } catch {
    return data;
  }
}

export const JSON_PARTS = [
  "null",
  "{}",
  "[]",
  '"\u001b[2J\\u0000\\u202e"',
  "1e999",
  "-1",
  '{"__proto__":{"polluted":true}}',
  "[".repeat(50_000),
  '"',
  '"../../../etc/passwd"',
  `"${"A".repeat(100_000)}"`,
];

export function strangeMember(random: Random): Buffer {
  const name = random.pick(HOSTILE_NAMES);
  switch (random.below(13)) {
    case 6:
      return tarMember({ ...pax({ path: name, size: "1" }), type: "g" });
    case 7:
      return Buffer.concat([tarMember(pax({ path: "one" })), tarMember(gnuLongName(name)), tarMember({ name: "x", data: "data" })]);
    case 8:
      return Buffer.concat([tarMember(gnuLongName(name)), tarMember({ name: "x", type: "\0", data: "data" })]);
    case 9:
      return Buffer.concat([
        tarMember(pax({ "GNU.sparse.name": name, "GNU.sparse.realsize": "9" })),
        tarMember({ name: "x", data: "data" }),
      ]);
    case 10:
      return tarHeader({ name, type: "S", size: 0, magic: "ustar  \0" });
    case 11:
      return Buffer.concat([tarMember({ name: Buffer.from([0x66, random.below(256), 0xff]), data: "data" }), tarMember({ name: ".wh.f" })]);
    case 12:
      return withChecksum(Buffer.from(tarHeader({ name, data: "" }).fill("tar\0", 508, 512)));
    case 0:
      return Buffer.concat([tarMember(pax({ path: name })), tarMember({ name: "x", data: "data" })]);
    case 1:
      return Buffer.concat([tarMember(gnuLongName(name)), tarMember({ name: "x", data: "data" })]);
    case 2:
      return tarHeader({ name, type: random.pick(["1", "2"]), target: random.pick([TRAP, "../../..", "/etc"]) });
    case 3:
      return tarMember(pax({ size: random.pick(["0", "1", "99999999999999", "9007199254740993"]) }));
    case 4:
      return tarMember({ name: `${name}/below`, data: "data" });
    default:
      return tarMember({ name, data: random.bytes(random.below(700)), size: random.below(2000) });
  }
}

/** Entries that are small here and would be large in memory: nested, repeated, packed, or all name. */
function bomb(random: Random): Buffer {
  const field = 1 + random.below(15);
  let message: Buffer;
  switch (random.below(4)) {
    case 0: {
      message = Buffer.alloc(0);
      for (let depth = random.below(2000); depth > 0; depth -= 1)
        message = Buffer.concat([Buffer.from([(field << 3) | 2]), varint(message.length), message]);
      break;
    }
    case 1:
      message = Buffer.concat(Array.from({ length: random.below(200_000) }, () => Buffer.from([(field << 3) | 2, 0])));
      break;
    case 2: {
      const packed = Buffer.alloc(random.below(1 << 20));
      message = Buffer.concat([Buffer.from([(field << 3) | 2]), varint(packed.length), packed]);
      break;
    }
    default: {
      const name = Buffer.alloc(random.below(1 << 20), "/a\u0007");
      message = Buffer.concat([Buffer.from([(field << 3) | 2]), varint(name.length), name]);
    }
  }
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  const entry = Buffer.concat([length, message]);
  return entry.length > 1000 ? entry : Buffer.concat(Array.from({ length: 1 + random.below(5000) }, () => entry));
}

/** An entry of an image: a message of numbers. */
function entry(...fields: readonly (readonly [field: number, value: number])[]): Buffer {
  const message = Buffer.concat(fields.flatMap(([field, value]) => [varint(field << 3), varint(value)]));
  const length = Buffer.alloc(4);
  length.writeUInt32LE(message.length);
  return Buffer.concat([length, message]);
}

function varint(value: number): Buffer {
  const bytes: number[] = [];
  for (; value > 127; value = Math.floor(value / 128)) bytes.push((value % 128) | 128);
  return Buffer.from([...bytes, value]);
}

type Blind = (bytes: Buffer, random: Random) => Buffer;

const BLIND: readonly (readonly [string, Blind])[] = [
  [
    "flip bytes anywhere",
    (bytes, random) => {
      const copy = Buffer.from(bytes);
      for (let count = 1 + random.below(20); count > 0; count -= 1) copy[random.below(copy.length)] = random.below(256);
      return copy;
    },
  ],
  ["cut off", (bytes, random) => bytes.subarray(0, random.below(bytes.length))],
  [
    "cut out blocks",
    (bytes, random) => {
      const at = random.below(bytes.length / 512) * 512;
      return Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 512 * (1 + random.below(10)))]);
    },
  ],
  [
    "zero blocks",
    (bytes, random) => {
      const at = random.below(bytes.length / 512) * 512;
      return Buffer.concat([bytes.subarray(0, at), Buffer.alloc(512 * (1 + random.below(3))), bytes.subarray(at)]);
    },
  ],
];
