/** What the records of an extended header (type x or g) say, as far as it matters here. */
export interface Extended {
  readonly path?: Buffer;
  readonly linkpath?: Buffer;
  readonly size?: number;
  /** Seconds since the epoch. */
  readonly modifiedAt?: number;
  /** A GNU.sparse.* record: the data is not the file. */
  readonly sparse?: true;
}

/**
 * The records "LENGTH KEYWORD=VALUE\n" of a PAX extended header (POSIX.1-2001, pax, "Extended Header Keyword/File
 * Precedence"). Undefined where they are malformed.
 */
export function parsePax(data: Buffer): Extended | undefined {
  const extended: Extended = {};
  for (let at = 0; at < data.length;) {
    const space = data.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? "" : data.toString("latin1", at, space);
    if (!/^[1-9][0-9]*$/.test(digits)) return undefined;
    const end = at + Number(digits);
    const equals = data.indexOf(0x3d, space);
    if (end > data.length || end <= space + 1 || data[end - 1] !== 0x0a || equals < 0 || equals >= end) return undefined;
    const record = parseRecord(data.toString("latin1", space + 1, equals), data.subarray(equals + 1, end - 1));
    if (record === undefined) return undefined;
    Object.assign(extended, record);
    at = end;
  }
  return extended;
}

function parseRecord(keyword: string, value: Buffer): Extended | undefined {
  switch (keyword) {
    case "path":
      return { path: value };
    case "linkpath":
      return { linkpath: value };
    case "size":
    case "mtime": {
      const text = value.toString("latin1");
      if (!/^-?\d+(\.\d*)?$/.test(text)) return undefined;
      if (keyword === "mtime") return { modifiedAt: Math.floor(Number(text)) };
      return /^\d+$/.test(text) && Number.isSafeInteger(Number(text)) ? { size: Number(text) } : undefined;
    }
    default:
      return keyword.startsWith("GNU.sparse.") ? { sparse: true } : {};
  }
}
