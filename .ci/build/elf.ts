export function isElf(file: Buffer): boolean {
  return file.readUInt32BE(0) === 0x7f454c46;
}

/**
 * A 64-bit little-endian ELF file without what it does not need to run: all that stands behind its last loaded byte, which
 * is symbols, debug information and the table of sections. Does the work of `strip` for any architecture, and the same on
 * every machine. Throws where the file is no such ELF file.
 * Format: https://refspecs.linuxfoundation.org/elf/gabi4+/ch4.eheader.html
 */
export function strippedElf(file: Buffer): Buffer {
  if (!isElf(file) || file[4] !== 2 || file[5] !== 1) throw new Error("not a 64-bit little-endian ELF file");
  const table = Number(file.readBigUInt64LE(0x20));
  const entrySize = file.readUInt16LE(0x36);
  let end = 0;
  for (let index = 0; index < file.readUInt16LE(0x38); index += 1) {
    const entry = table + index * entrySize;
    end = Math.max(end, Number(file.readBigUInt64LE(entry + 0x08) + file.readBigUInt64LE(entry + 0x20)));
  }
  const stripped = Buffer.from(file.subarray(0, end));
  // The place, number and names of sections.
  stripped.writeBigUInt64LE(0n, 0x28);
  stripped.writeUInt16LE(0, 0x3c);
  stripped.writeUInt16LE(0, 0x3e);
  return stripped;
}
