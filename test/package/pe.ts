// A reader of Windows executables. Layout: https://learn.microsoft.com/windows/win32/debug/pe-format

/** What Windows would refuse, or an antivirus program suspect, of an executable with a program inside. Empty where all is well. */
export function peProblems(file: Buffer): string[] {
  const problems: string[] = [];
  const expect = (holds: boolean, problem: string): void => {
    if (!holds) problems.push(problem);
  };
  const header = file.readUInt32LE(0x3c);
  expect(file.toString("latin1", 0, 2) === "MZ" && file.toString("latin1", header, header + 4) === "PE\0\0", "no PE header");
  expect(file.readUInt16LE(header + 4) === 0x8664, "not for x86-64");
  const optional = header + 24;
  const [certificateAt, certificateSize] = [144, 148].map((offset) => file.readUInt32LE(optional + offset));
  expect(certificateAt === 0 && certificateSize === 0, "it points at a signature");
  const imageSize = file.readUInt32LE(optional + 56);
  const resourcesAddress = file.readUInt32LE(optional + 112 + 2 * 8);

  let end = 0;
  let resources: Buffer | undefined;
  const table = optional + file.readUInt16LE(header + 20);
  for (let index = 0; index < file.readUInt16LE(header + 6); index += 1) {
    const at = table + index * 40;
    const name = file.toString("latin1", at, at + 8).replaceAll("\0", "");
    const [size, address, rawSize, raw] = [8, 12, 16, 20].map((offset) => file.readUInt32LE(at + offset)) as [
      number,
      number,
      number,
      number,
    ];
    expect(raw + rawSize <= file.length, `section ${name} reaches behind the file`);
    expect(address + size <= imageSize, `section ${name} reaches behind the image`);
    end = Math.max(end, raw + rawSize);
    if (address === resourcesAddress) resources = file.subarray(raw, raw + rawSize);
  }
  expect(end === file.length, "there is something behind the last section");
  expect(resources !== undefined && resourceNames(resources).includes("NODE_SEA_BLOB"), "there is no program inside");
  return problems;
}

/** The names in a tree of resources: its first level are types, its second names. */
function resourceNames(resources: Buffer): string[] {
  const children = (at: number): { id: number; offset: number }[] => {
    const count = resources.readUInt16LE(at + 12) + resources.readUInt16LE(at + 14);
    return Array.from({ length: count }, (_, index) => ({
      id: resources.readUInt32LE(at + 16 + index * 8),
      offset: resources.readUInt32LE(at + 20 + index * 8) & 0x7fffffff,
    }));
  };
  return children(0)
    .flatMap(({ offset }) => children(offset))
    .filter(({ id }) => id >= 0x80000000)
    .map(({ id }) => {
      const at = id & 0x7fffffff;
      return resources.toString("utf16le", at + 2, at + 2 + resources.readUInt16LE(at) * 2);
    });
}
