// A reader of Mach-O signatures that shares nothing with the writer in .ci/build. Layout: <mach-o/loader.h> and osfmk/kern/cs_blobs.h of xnu.
import { createHash } from "node:crypto";

interface Segment {
  readonly name: string;
  readonly address: number;
  readonly addressSize: number;
  readonly offset: number;
  readonly size: number;
}

/** What a Mac would refuse of a signed executable. Empty where all is well. */
export function signatureProblems(file: Buffer): string[] {
  const problems: string[] = [];
  const expect = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(problem);
  };
  expect(file.readUInt32LE(0) === 0xfeedfacf && file.readUInt32LE(12) === 2, "not a 64-bit executable");
  const segments: Segment[] = [];
  let signature: { offset: number; size: number } | undefined;
  let at = 32;
  for (let count = file.readUInt32LE(16); count > 0; count -= 1) {
    const command = file.readUInt32LE(at);
    if (command === 0x19) {
      const [address, addressSize, offset, size] = [24, 32, 40, 48].map((field) => Number(file.readBigUInt64LE(at + field)));
      const name = file.toString("latin1", at + 8, at + 24).replaceAll("\0", "");
      segments.push({ name, address, addressSize, offset, size } as Segment);
    }
    if (command === 0x1d) signature = { offset: file.readUInt32LE(at + 8), size: file.readUInt32LE(at + 12) };
    at += file.readUInt32LE(at + 4);
  }
  expect(at === 32 + file.readUInt32LE(20), "the load commands are not as long as the header says");

  for (const [index, { name, address, addressSize, offset, size }] of segments.entries()) {
    expect(offset + size <= file.length && size <= addressSize, `segment ${name} is longer than its place`);
    expect(address % 0x1000 === 0 && offset % 0x1000 === 0, `segment ${name} is not at a page's beginning`);
    const next = segments[index + 1];
    if (next !== undefined) expect(address + addressSize <= next.address, `segment ${name} reaches into ${next.name}`);
  }
  const linkedit = segments.at(-1);
  const text = segments.find(({ name }) => name === "__TEXT");
  const sea = segments.find(({ name }) => name === "NODE_SEA");
  expect(linkedit?.name === "__LINKEDIT" && linkedit.offset + linkedit.size === file.length, "__LINKEDIT does not end with the file");
  expect(sea !== undefined && sea.size > 100_000, "there is no program inside");
  if (signature === undefined || text === undefined) return [...problems, "there is no signature"];
  expect(signature.offset % 16 === 0, "the signature does not stand at a multiple of 16");
  expect(signature.offset + signature.size === file.length, "the signature does not end with the file");

  const blob = file.subarray(signature.offset);
  expect(blob.readUInt32BE(0) === 0xfade0cc0, "no super blob");
  expect(blob.readUInt32BE(8) === 1 && blob.readUInt32BE(12) === 0, "not one code directory");
  const directory = blob.subarray(blob.readUInt32BE(16));
  expect(directory.readUInt32BE(0) === 0xfade0c02, "no code directory");
  expect(directory.readUInt32BE(8) >= 0x20400, "the code directory has no executable segment");
  expect((directory.readUInt32BE(12) & 2) === 2, "not ad hoc");
  expect((directory.readUInt32BE(12) & 0x10000) === 0, "hardened: V8 could not compile");
  const identifier = directory.subarray(directory.readUInt32BE(20));
  expect(identifier.toString("latin1", 0, identifier.indexOf(0)) === "kubectl-checkpoint", "another identifier");
  expect(directory.readUInt32BE(32) === signature.offset, "not all before the signature is signed");
  expect(directory[36] === 32 && directory[37] === 2 && directory[39] === 12, "not SHA-256 of 4 KiB pages");
  expect(
    Number(directory.readBigUInt64BE(64)) === text.offset && Number(directory.readBigUInt64BE(72)) === text.size,
    "another executable segment",
  );
  const hashes = directory.readUInt32BE(16);
  const pages = directory.readUInt32BE(28);
  expect(pages === Math.ceil(signature.offset / 4096), "another number of pages");
  expect(hashes + pages * 32 === directory.readUInt32BE(4), "the code directory is not as long as it says");
  for (let page = 0; page < pages; page += 1) {
    const content = file.subarray(page * 4096, Math.min((page + 1) * 4096, signature.offset));
    const hash = createHash("sha256").update(content).digest();
    if (!hash.equals(directory.subarray(hashes + page * 32, hashes + page * 32 + 32))) problems.push(`another hash of page ${page}`);
  }
  return problems;
}
