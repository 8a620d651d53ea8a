export function isPe(file: Buffer): boolean {
  return file.toString("latin1", 0, 2) === "MZ";
}

/**
 * A 64-bit Windows executable without its Authenticode signature, which would not fit what is put inside. Throws where
 * the file is no such executable, or where anything stands behind the signature.
 * Format: https://learn.microsoft.com/windows/win32/debug/pe-format
 */
export function unsignedPe(file: Buffer): Buffer {
  const header = file.readUInt32LE(0x3c);
  const optional = header + 24;
  if (!isPe(file) || file.readUInt32LE(header) !== 0x4550 || file.readUInt16LE(optional) !== 0x20b) throw new Error("not a 64-bit PE file");
  // The fifth data directory, whose address is an offset in the file.
  const directory = optional + 112 + 4 * 8;
  const at = file.readUInt32LE(directory);
  const size = file.readUInt32LE(directory + 4);
  if (at !== 0 && at + size !== file.length) throw new Error("the signature is not the end of the file");
  const unsigned = Buffer.from(file.subarray(0, at === 0 ? file.length : at));
  unsigned.writeBigUInt64LE(0n, directory);
  // The checksum, which only drivers need.
  unsigned.writeUInt32LE(0, optional + 64);
  return unsigned;
}
