/**
 * An Internet address as people write it, from the 32-bit words of an image: CRIU keeps the kernel's words as numbers
 * of its machine, so their bytes in that machine's order are the address.
 */
export function ipAddress(words: readonly number[], bigEndian: boolean): string {
  const bytes = Buffer.alloc(words.length * 4);
  for (const [index, word] of words.entries()) {
    if (bigEndian) bytes.writeUInt32BE(word, index * 4);
    else bytes.writeUInt32LE(word, index * 4);
  }
  if (bytes.length === 4) return dotted(bytes);
  if (bytes.length !== 16) return bytes.toString("hex");
  const mapped = bytes.subarray(0, 10).every((byte) => byte === 0) && bytes.readUInt16BE(10) === 0xffff;
  return mapped ? `::ffff:${dotted(bytes.subarray(12))}` : compressed(bytes);
}

/** Address and port, the address of IPv6 in brackets. */
export function endpoint(address: string, port: number): string {
  return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

function dotted(bytes: Buffer): string {
  return bytes.join(".");
}

/** RFC 5952: the longest run of zeros, of two words at least, becomes "::". */
function compressed(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16));
  let from = 0;
  let length = 1;
  for (let start = 0; start < 8; start += 1) {
    let end = start;
    while (words[end] === "0") end += 1;
    if (end - start > length) [from, length] = [start, end - start];
  }
  if (length === 1) return words.join(":");
  return `${words.slice(0, from).join(":")}::${words.slice(from + length).join(":")}`;
}
