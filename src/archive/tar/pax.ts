/** What the records of an extended header (type x or g) say, as far as it matters here. An empty value stands for none. */
export interface Extended {
  path?: Buffer;
  linkpath?: Buffer;
  size?: number;
  uid?: number;
  gid?: number;
  /** Seconds since the epoch. */
  modifiedAt?: number;
  /** A record of a sparse file: the data is not the file. */
  sparse?: true;
  /** What not all readers take alike. */
  oddity?: string;
}

const SPACE = 0x20;
const EQUALS = 0x3d;
const NEWLINE = 0x0a;
const MOST_DIGITS = 10;

/**
 * The records "LENGTH KEYWORD=VALUE\n" of a PAX extended header (POSIX.1-2001, pax, "Extended Header Keyword/File
 * Precedence"). Undefined where they are malformed. `step` hears of each record.
 */
export function parsePax(data: Buffer, step: () => void): Extended | undefined {
  const extended: Extended = {};
  const known = new Set<string>();
  for (let at = 0; at < data.length;) {
    step();
    let length = 0;
    let space = at;
    for (; space < data.length && data[space] !== SPACE; space += 1) {
      const digit = (data[space] ?? 0) - 0x30;
      if (digit < 0 || digit > 9 || space - at >= MOST_DIGITS || (digit === 0 && space === at)) return undefined;
      length = length * 10 + digit;
    }
    const end = at + length;
    if (space === at || end > data.length || end <= space + 1 || data[end - 1] !== NEWLINE) return undefined;
    let equals = space + 1;
    while (equals < end && data[equals] !== EQUALS) equals += 1;
    const key = data.toString("latin1", space + 1, equals);
    if (equals === end || key === "" || key.includes("\0")) return undefined;
    if (IMPORTANT.has(key) && known.has(key)) extended.oddity ??= `two records ${key} in its extended header`;
    if (IMPORTANT.has(key)) known.add(key);
    if (!take(extended, key, data.subarray(equals + 1, end - 1))) return undefined;
    at = end;
  }
  return extended;
}

const NAMES = new Set(["path", "linkpath", "uname", "gname"]);
const IMPORTANT = new Set([...NAMES, "size", "uid", "gid", "mtime", "atime", "ctime"]);
const NUMBER = /^-?\d{1,16}$/;
const TIME = /^-?\d{1,16}(\.\d*)?$/;
/** Records that tell of what no reader here looks at: attributes, comments, times. */
const HARMLESS =
  /^(uname|gname|uid|gid|atime|ctime|comment|(SCHILY|LIBARCHIVE)\.xattr\..*|SCHILY\.(dev|ino|nlink|acl\..*)|RHT\.security\..*|MSWINDOWS\..*)$/s;

/** False where the value cannot be. */
function take(extended: Extended, key: string, value: Buffer): boolean {
  if (NAMES.has(key) && value.includes(0)) return false;
  if (IMPORTANT.has(key) && value.length === 0) {
    extended.oddity ??= `an empty record ${key} in its extended header`;
    if (key === "path" || key === "linkpath") extended[key] = value;
    return true;
  }
  switch (key) {
    case "path":
    case "linkpath":
      extended[key] = Buffer.from(value);
      return true;
    case "size": {
      const size = Number(text(value));
      if (!/^\d{1,16}$/.test(text(value)) || !Number.isSafeInteger(size)) return false;
      extended.size = size;
      return true;
    }
    case "uid":
    case "gid":
      extended[key] = Number(text(value));
      return NUMBER.test(text(value));
    case "mtime":
      extended.modifiedAt = Math.floor(Number(text(value)));
      return TIME.test(text(value));
    case "atime":
    case "ctime":
      return TIME.test(text(value));
    default:
      if (key.startsWith("GNU.sparse.") || key === "SCHILY.realsize") extended.sparse = true;
      else if (!HARMLESS.test(key)) extended.oddity ??= `a record ${JSON.stringify(key.slice(0, 40))} in its extended header`;
      return true;
  }
}

/** No number is longer. */
function text(value: Buffer): string {
  return value.toString("latin1", 0, 64);
}
