// Symbols and build IDs as nm and readelf tell them.
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { fileSource } from "../../src/archive/file.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { buildIdOf, readElf } from "../../src/elf/reader.ts";
import { symbolsAt } from "../../src/elf/symbols.ts";

const HAS_GCC = process.platform === "linux" && ["gcc", "nm", "readelf"].every((name) => spawnSync(name, ["--version"]).status === 0);

for (const flags of [["-fPIE", "-pie"], ["-no-pie"], ["-fPIE", "-pie", "-s", "-rdynamic"]]) {
  test(
    `the functions of a program (gcc ${flags.join(" ")})`,
    { skip: HAS_GCC ? false : "gcc, nm and readelf are not installed" },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "symbols-"));
      const path = join(folder, "program");
      writeFileSync(
        join(folder, "a.c"),
        "int first(int n) { return n * 3; }\nint second(int n) { return first(n) + 7; }\nint main(void) { return second(1); }\n",
      );
      execFileSync("gcc", ["-O0", "-Wl,--build-id", ...flags, "-o", path, join(folder, "a.c")]);
      const fd = openSync(path, "r");
      try {
        const source = fileSource(fd, statSync(path).size);
        const table = execFileSync("nm", flags.includes("-s") ? ["-D", path] : [path], { encoding: "utf8" });
        const address = (name: string): bigint => BigInt(`0x${new RegExp(`^([0-9a-f]+) T ${name}$`, "m").exec(table)?.[1] ?? ""}`);
        const base = flags.includes("-no-pie") ? 0x400000n : 0n;
        const offsets = ["first", "second", "main"].map((name) => address(name) - base + 5n);
        const found = await symbolsAt(source, [...offsets, 0n]);
        assert.deepEqual(
          offsets.map((offset) => found.get(offset)),
          ["first", "second", "main"].map((name) => ({ name, offset: 5 })),
        );
        assert.equal(found.get(0n), undefined);
        const [, id] = /Build ID: ([0-9a-f]+)/.exec(execFileSync("readelf", ["-n", path], { encoding: "utf8" })) ?? [];
        assert.equal(await buildIdOf(source), id);
      } finally {
        closeSync(fd);
        rmSync(folder, { recursive: true });
      }
    },
  );
}

test("what is no ELF file, or one that lies, has neither symbols nor a build ID", async () => {
  const header = Buffer.alloc(64);
  header.write("\x7fELF\x02\x01\x01", "latin1");
  for (const at of [32, 40]) header.writeBigUInt64LE(2n ** 64n - 1n, at);
  header.writeUInt16LE(56, 54);
  header.writeUInt16LE(0xffff, 56);
  header.writeUInt16LE(64, 58);
  header.writeUInt16LE(0xffff, 60);
  for (const bytes of [Buffer.alloc(0), Buffer.from("text"), header, header.subarray(0, 63)]) {
    assert.equal(await buildIdOf(bufferSource(bytes)), undefined);
    assert.equal((await symbolsAt(bufferSource(bytes), [0n])).size, 0);
  }
  assert.deepEqual((await readElf(bufferSource(header)))?.segments, []);
});
