// Tar archives built in memory, honest and hostile ones.

export interface TarMember {
  readonly name: string | Buffer;
  /** The type flag: "0" a file, "1" a link, "2" a symlink, "3" a device, "5" a directory, "x" PAX, "L" GNU's long name… */
  readonly type?: string;
  readonly data?: string | Buffer;
  /** What the header claims instead of the data's own size; a string stands in the field as it is. */
  readonly size?: number | bigint | string;
  readonly target?: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** Seconds since the epoch. */
  readonly modifiedAt?: number;
  readonly prefix?: string;
  /** "ustar\0" unless told otherwise. */
  readonly magic?: string;
}

/** A header block with a checksum that holds. */
export function tarHeader({
  name,
  type = "0",
  data = "",
  size,
  target = "",
  mode = 0o644,
  uid = 0,
  gid = 0,
  modifiedAt = 0,
  prefix = "",
  magic,
}: TarMember): Buffer {
  const block = Buffer.alloc(512);
  const put = (at: number, length: number, value: string | Buffer): void => {
    Buffer.from(value).copy(block, at, 0, length);
  };
  put(0, 100, name);
  put(100, 8, octal(mode, 7));
  put(108, 8, octal(uid, 7));
  put(116, 8, octal(gid, 7));
  put(124, 12, sizeField(size ?? Buffer.byteLength(data)));
  put(136, 12, octal(modifiedAt, 11));
  put(148, 8, "        ");
  put(156, 1, type);
  put(157, 100, target);
  put(257, 8, magic ?? "ustar\u000000");
  put(345, 155, prefix);
  return withChecksum(block);
}

/** Puts the checksum of a block right. */
export function withChecksum(block: Buffer): Buffer {
  block.fill(" ", 148, 156);
  const sum = block.reduce((total, byte) => total + byte, 0);
  Buffer.from(`${octal(sum, 6)}\0 `).copy(block, 148);
  return block;
}

/** Header and data, padded. */
export function tarMember(member: TarMember): Buffer {
  const data = Buffer.from(member.data ?? "");
  return Buffer.concat([tarHeader(member), data, Buffer.alloc((512 - (data.length % 512)) % 512)]);
}

export const TAR_END = Buffer.alloc(1024);

export function tar(...members: readonly TarMember[]): Buffer {
  return Buffer.concat([...members.map(tarMember), TAR_END]);
}

/** An extended header (type x) with these records, to stand before the member it is about. */
export function pax(records: Readonly<Record<string, string>>): TarMember {
  return {
    name: "PaxHeaders/0",
    type: "x",
    data: Object.entries(records)
      .map(([key, value]) => paxRecord(key, value))
      .join(""),
  };
}

function paxRecord(key: string, value: string): string {
  const rest = Buffer.byteLength(` ${key}=${value}\n`);
  let length = rest;
  while (length !== rest + String(length).length) length = rest + String(length).length;
  return `${length} ${key}=${value}\n`;
}

/** A GNU long name (type L), to stand before the member it is about. */
export function gnuLongName(name: string): TarMember {
  return { name: "././@LongLink", type: "L", data: `${name}\0`, magic: "ustar  \0" };
}

function octal(value: number, digits: number): string {
  return value.toString(8).padStart(digits, "0");
}

function sizeField(size: number | bigint | string): string | Buffer {
  if (typeof size === "string") return size;
  if (size < 8 ** 11) return octal(Number(size), 11);
  const field = Buffer.alloc(12);
  field.writeBigUInt64BE(BigInt(size), 4);
  field[0] = 0x80;
  return field;
}
