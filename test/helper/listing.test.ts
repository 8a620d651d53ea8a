// What a pod says of the files of its node is not believed blindly.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseListing, type NodeFile } from "../../src/helper/listing.ts";
import { archiveName, nameInUrl } from "../../src/helper/names.ts";
import { nameWord } from "../../src/helper/operations.ts";
import { batches } from "../../src/helper/batches.ts";

const ZEROS = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
const OTHER = "ab".repeat(32);

function octal(...names: (string | Buffer)[]): string {
  const bytes = Buffer.concat(names.flatMap((name) => [Buffer.from("./"), Buffer.from(name), Buffer.from("/")]));
  // As od writes it.
  return (
    [...bytes]
      .map((byte) => byte.toString(8).padStart(3, "0"))
      .join(" ")
      .match(/.{1,64}/g) ?? []
  )
    .map((line) => ` ${line}`)
    .join("\n");
}

function group(names: (string | Buffer)[], sizes: string[], hashes: string[]): string {
  return `${octal(...names)}\nsizes\n${sizes.join("\n")}\nends\n${hashes.map((hash, index) => `${hash}  /work/end.7.${index + 1}`).join("\n")}\ngroup\n`;
}

test("names of any bytes, sizes, times, ends; in groups", () => {
  const odd = Buffer.from("bad\xff\xfe\n.tar", "latin1");
  const files = parseListing(
    `1000\n${group(["a.tar", odd], ["1024 900 7", "5 990 8"], [ZEROS, OTHER])}${group(["/".replace("/", "057")], ["0 1 2"], [OTHER])}`,
  );
  assert.deepEqual(
    files.map(({ name, bytes, identity, modifiedAt, age, closed }) => ({ name, bytes, identity, modifiedAt, age, closed })),
    [
      { name: "a.tar", bytes: 1024, identity: "1024 900 7", modifiedAt: 900, age: 100, closed: true },
      { name: String.raw`bad\xff\xfe\x0a.tar`, bytes: 5, identity: "5 990 8", modifiedAt: 990, age: 10, closed: false },
      { name: "057", bytes: 0, identity: "0 1 2", modifiedAt: 1, age: 999, closed: false },
    ],
  );
  assert.deepEqual(files[1]?.raw, odd);
});

test("an image without date and stat", () => {
  const [file] = parseListing(`\n${group(["a"], ["12"], [OTHER])}`);
  assert.deepEqual([file?.bytes, file?.modifiedAt, file?.age, file?.identity], [12, undefined, undefined, "12"]);
});

test("nothing in the directory", () => assert.deepEqual(parseListing("1000\n"), []));

test("parts that do not fit together are cut, not guessed", () => {
  for (const answer of [
    "",
    "1000",
    `x\n${group(["a"], ["1 2 3"], [OTHER])}`,
    `1000\n${group(["a", "b"], ["1 2 3"], [OTHER])}`,
    `1000\n${group(["a"], ["1 2 3"], [])}`,
    `1000\n${group(["a"], ["-1 2 3"], [OTHER])}`,
    `1000\n${group(["a"], ["1e9"], [OTHER])}`,
    `1000\n${group(["a"], ["9999999999999999 1 1"], [OTHER])}`,
    `1000\n${group(["a"], ["1 2 3"], [OTHER]).slice(0, -6)}`,
    `1000\n 056 057 777 057\nsizes\n1 2 3\nends\n${OTHER}  /work/end.7.1\ngroup\n`,
    `1000\n 056 057 \nsizes\n1 2 3\nends\n${OTHER}  /work/end.7.1\ngroup\n`,
    `1000\ngroup\n`,
  ])
    assert.throws(() => parseListing(answer), { reason: "TransferCut" }, answer);
});

test("a lie of any length is refused at once", () => {
  const started = Date.now();
  assert.throws(() => parseListing(`1000\n ${"056057".repeat(200_000)}\nsizes\n1\nends\n\ngroup\n`));
  assert.throws(() => parseListing(`1000\n${"\nsizes\n".repeat(100_000)}`));
  assert.ok(Date.now() - started < 3000);
});

test("names for the shell and for URLs", () => {
  assert.equal(nameWord(Buffer.from("checkpoint-a_b-c-2026-11-24T06:10:21Z.tar")), "=checkpoint-a_b-c-2026-11-24T06:10:21Z.tar");
  assert.equal(nameWord(Buffer.from("a b")), "141040142");
  assert.equal(nameWord(Buffer.from("é")), "303251");
  for (const odd of ["$(x)", "a&b", "a\nb", "a'b", "=a", "a/b"]) assert.match(nameWord(Buffer.from(odd)), /^[0-7]+$/, odd);
  assert.equal(nameInUrl(Buffer.from("a b%é\n\xff?", "latin1")), "a%20b%25%e9%0a%ff%3f");
});

test("an archive's name is a name, nothing else", () => {
  assert.equal(archiveName("/d/a.tar", "/d"), "a.tar");
  assert.equal(archiveName("a.tar", "/d"), "a.tar");
  for (const given of ["", ".", "..", "a/b", "/d/", "/d/../x", "/e/a.tar", "../a", "a\0b"])
    assert.throws(() => archiveName(given, "/d"), { reason: "ArchiveNameInvalid" }, given);
});

test("one request holds as many names as a line of httpd's", () => {
  const file = (name: string): NodeFile => ({ name, raw: Buffer.from(name), bytes: 0, identity: "1 2 3", closed: true });
  const groups = batches(Array.from({ length: 500 }, (_, index) => file(`checkpoint-p_n-c-2026-11-24T06:10:${index}Z.tar`)));
  assert.equal(groups.flat().length, 500);
  for (const some of groups)
    assert.ok(some.map(({ raw, identity }) => nameWord(raw).length + identity.length + 2).reduce((a, b) => a + b) < 7900);
  assert.equal(batches([file("é".repeat(127)), file("é".repeat(127))]).flat().length, 2);
  assert.deepEqual(batches([]), []);
});
