import { BLOCK } from "./header.ts";

/** A member to be written: POSIX's ustar, with a PAX header before it where something does not fit. Names are any bytes. */
export interface NewMember {
  /** Relative; of a directory with a slash at its end. */
  readonly name: Buffer;
  readonly type: "file" | "directory" | "link" | "symlink";
  /** Of a file, in bytes. */
  readonly size: number;
  /** Permission bits. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since the epoch. */
  readonly modifiedAt: number;
  /** Of a link or symlink. */
  readonly target: Buffer;
}

const TYPES = { file: "0", link: "1", symlink: "2", directory: "5" } as const;
const NAME_BYTES = 100;

/** What comes before the member's bytes, which are padded afterwards: see padding. */
export function memberHeader({ name, type, size, mode, uid, gid, modifiedAt, target }: NewMember): Buffer {
  const records: Buffer[] = [];
  const field = (key: string, bytes: Buffer, fits: boolean): void => {
    if (!fits) records.push(record(key, bytes));
  };
  const digits = (key: string, value: number, length: number): string => {
    const octal = value.toString(8);
    const fits = value >= 0 && octal.length < length;
    field(key, Buffer.from(String(value)), fits);
    return fits ? octal : "0";
  };
  field("path", name, name.length <= NAME_BYTES);
  field("linkpath", target, target.length <= NAME_BYTES);
  const numbers = {
    uid: digits("uid", uid, 8),
    gid: digits("gid", gid, 8),
    size: digits("size", size, 12),
    time: digits("mtime", modifiedAt, 12),
  };
  const own = block(name, TYPES[type], mode, numbers, target);
  if (records.length === 0) return own;
  const extended = Buffer.concat(records);
  const about = block(Buffer.from("PaxHeader"), "x", 0o600, { uid: "0", gid: "0", size: extended.length.toString(8), time: "0" });
  return Buffer.concat([about, extended, padding(extended.length), own]);
}

/** What fills a member's last block. */
export function padding(size: number): Buffer {
  return Buffer.alloc((BLOCK - (size % BLOCK)) % BLOCK);
}

/** What ends an archive. */
export const END = Buffer.alloc(2 * BLOCK);

function block(
  name: Buffer,
  type: string,
  mode: number,
  { uid, gid, size, time }: { readonly uid: string; readonly gid: string; readonly size: string; readonly time: string },
  target: Buffer = Buffer.alloc(0),
): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (text: string, at: number, length: number): void => void header.write(`${text.padStart(length - 1, "0")}\0`, at, "latin1");
  name.copy(header, 0, 0, NAME_BYTES);
  octal(mode.toString(8), 100, 8);
  octal(uid, 108, 8);
  octal(gid, 116, 8);
  octal(size, 124, 12);
  octal(time, 136, 12);
  header.write(`        ${type}`, 148, "latin1");
  target.copy(header, 157, 0, NAME_BYTES);
  header.write("ustar\x0000", 257, "latin1");
  octal("0", 329, 8);
  octal("0", 337, 8);
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148, "latin1");
  return header;
}

/** "LENGTH KEYWORD=VALUE\n", where LENGTH counts itself too. */
function record(key: string, value: Buffer): Buffer {
  const rest = ` ${key}=`.length + value.length + 1;
  let length = rest + String(rest).length;
  if (rest + String(length).length !== length) length += 1;
  return Buffer.concat([Buffer.from(`${length} ${key}=`), value, Buffer.from("\n")]);
}
