// Whether a file is a core that a debugger can open, by a few lines that know of ELF only that.
import assert from "node:assert/strict";
import { closeSync, fstatSync, openSync, readSync } from "node:fs";

const [ET_CORE, PT_LOAD] = [4, 1];

/** Throws where it is no core, a segment lies beyond its end, or two of memory lie over each other. */
export function soundCore(path: string): void {
  const fd = openSync(path, "r");
  try {
    const { size } = fstatSync(fd);
    const head = readAt(fd, 0, 64);
    assert.equal(head.toString("latin1", 0, 4), "\u007fELF", path);
    assert.equal(head.readUInt16LE(16), ET_CORE, path);
    const [at, each, stated] = [Number(head.readBigUInt64LE(32)), head.readUInt16LE(54), head.readUInt16LE(56)];
    // Of more than there is room for, the first section header has the number.
    const count = stated === 0xffff ? readAt(fd, Number(head.readBigUInt64LE(40)), 64).readUInt32LE(44) : stated;
    const table = readAt(fd, at, count * each);
    let before = 0n;
    for (let index = 0; index < count; index += 1) {
      const entry = table.subarray(index * each, (index + 1) * each);
      const [offset, address, inFile, inMemory] = [8, 16, 32, 40].map((field) => entry.readBigUInt64LE(field)) as [
        bigint,
        bigint,
        bigint,
        bigint,
      ];
      assert.ok(offset + inFile <= BigInt(size), `${path}: segment ${index} ends beyond the file`);
      if (entry.readUInt32LE(0) !== PT_LOAD) continue;
      assert.ok(inFile <= inMemory, `${path}: segment ${index} has more in the file than in memory`);
      assert.ok(address >= before, `${path}: segment ${index} lies over the one before`);
      before = address + inMemory;
    }
  } finally {
    closeSync(fd);
  }
}

function readAt(fd: number, at: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  assert.equal(readSync(fd, bytes, 0, length, at), length, "it is cut short");
  return bytes;
}
