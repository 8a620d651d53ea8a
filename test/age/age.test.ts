// Files of age: what is written here is read by age-encryption and by age itself, and the other way round.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { open } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { newHeader } from "../../src/age/header.ts";
import { decryptedPieces, decryptedSource } from "../../src/age/open.ts";
import { encrypted, encryptedSize } from "../../src/age/payload.ts";
import { readIdentities, readRecipients } from "../../src/age/recipients.ts";
import { sealingThread } from "../../src/age/sealing.ts";
import { unlocking } from "../../src/age/unlock.ts";
import { bufferSource } from "../../src/archive/sources.ts";
import { context } from "../fakes.ts";
import { tool } from "../tools/tool.ts";

const directory = mkdtempSync(join(tmpdir(), "age-"));
after(() => rmSync(directory, { recursive: true, force: true }));
const age = tool("age");
const keygen = tool("age-keygen");
const identity = await generateX25519Identity();
const recipient = await identityToRecipient(identity);
const identityFile = join(directory, "identity");
writeFileSync(identityFile, `# created: now\n${identity}\n`);
const unlock = unlocking(identityFile, context(new AbortController().signal).ask);

const CHUNK = 64 << 10;
/** Around the ends of chunks. */
const SIZES = [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 5 * CHUNK + 7];

async function* inPieces(bytes: Buffer, length: number): AsyncGenerator<Buffer, void> {
  for (let at = 0; at < bytes.length; at += length) yield await Promise.resolve(bytes.subarray(at, at + length));
}

async function all(pieces: AsyncIterable<Buffer>): Promise<Buffer> {
  const parts: Buffer[] = [];
  for await (const piece of pieces) parts.push(Buffer.from(piece));
  return Buffer.concat(parts);
}

async function sealed(plain: Buffer, piece = 50_000): Promise<Buffer> {
  return await all(encrypted(await newHeader([recipient]), inPieces(plain, piece)));
}

/** With the library. */
async function byLibrary(plain: Buffer): Promise<Buffer> {
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  return Buffer.from(await encrypter.encrypt(plain));
}

test("the thread writes what this one does, and hashes both; what it meets is thrown; used pages come back", async () => {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  const path = join(directory, "by-thread");
  const hex = (bytes: Buffer): string => createHash("sha256").update(bytes).digest("hex");
  for (const size of [...SIZES, 40 * CHUNK + 1]) {
    const plain = randomBytes(size);
    const file = await open(path, "w");
    const header = await newHeader([recipient]);
    const spare: Buffer[] = [];
    const sealing = sealingThread(file.fd, header, spare);
    for (let at = 0; at < size; at += 100_000) {
      // Of a page that is not full, too.
      const page = Buffer.allocUnsafeSlow(1 << 20);
      const length = plain.copy(page, 0, at, at + 100_000);
      await sealing.write(page.subarray(0, length));
    }
    const { plainSha256, bytes, sha256 } = await sealing.finish();
    await sealing.stop();
    await file.close();
    const written = readFileSync(path);
    assert.equal(written.length, encryptedSize(header.bytes.length, size));
    assert.deepEqual([plainSha256, bytes, sha256], [hex(plain), written.length, hex(written)]);
    assert.ok(Buffer.from(await decrypter.decrypt(written)).equals(plain), `${size} bytes`);
    assert.ok(spare.every(({ length }) => length === 1 << 20));
  }
  const readOnly = await open(path, "r");
  const sealing = sealingThread(readOnly.fd, await newHeader([recipient]));
  await assert.rejects(sealing.finish(), { code: "EBADF" });
  await sealing.stop();
  await readOnly.close();
});

test("the library reads what is written here, however the bytes come, and it is as long as was said", async () => {
  const decrypter = new Decrypter();
  decrypter.addIdentity(identity);
  for (const size of SIZES) {
    const plain = randomBytes(size);
    for (const piece of [1000, CHUNK, 3 * CHUNK + 5]) {
      const file = await sealed(plain, piece);
      assert.deepEqual(Buffer.from(await decrypter.decrypt(file)), plain, `${size} bytes in pieces of ${piece}`);
      assert.equal(file.length, encryptedSize((await newHeader([recipient])).bytes.length, size));
    }
  }
});

test("what the library writes is read here, at any place and in order", async () => {
  for (const size of SIZES) {
    const plain = randomBytes(size);
    const file = await byLibrary(plain);
    const source = await decryptedSource(bufferSource(file), "x", unlock);
    assert.equal(source.size, size);
    assert.deepEqual(await source.read(0, size), plain);
    for (let turn = 0; turn < 20; turn += 1) {
      const from = Math.floor(Math.random() * size);
      const length = Math.floor(Math.random() * (size - from));
      assert.deepEqual(await source.read(from, length, Buffer.alloc(length)), plain.subarray(from, from + length), `${from} ${length}`);
    }
    await assert.rejects(source.read(size, 1), { reason: "AgeDamaged" });
    assert.deepEqual(await all(decryptedPieces(inPieces(file, 777), "x", unlock)), plain);
  }
});

test("age itself, both ways, with keys of age-keygen", { skip: age.missing || keygen.missing }, async () => {
  const own = join(directory, "own");
  execFileSync(keygen.path ?? "", ["-o", own], { stdio: "pipe" });
  const [ownIdentity = ""] = await readIdentities(own);
  const ownRecipient = await identityToRecipient(ownIdentity);
  const plain = randomBytes(3 * CHUNK + 11);
  const file = join(directory, "ours.age");
  writeFileSync(file, await all(encrypted(await newHeader([recipient, ownRecipient]), inPieces(plain, 9999))));
  for (const key of [own, identityFile]) assert.deepEqual(execFileSync(age.path ?? "", ["-d", "-i", key, file]), plain);
  const theirs = execFileSync(age.path ?? "", ["-r", ownRecipient], { input: plain });
  const open = unlocking(own, context(new AbortController().signal).ask);
  assert.deepEqual(await (await decryptedSource(bufferSource(theirs), "x", open)).read(0, plain.length), plain);
  await assert.rejects(decryptedSource(bufferSource(theirs), "x", unlock), { reason: "NotARecipient" });
});

test("a passphrase is asked for once for all files that have it, and three times where it is wrong", async () => {
  const encrypter = new Encrypter();
  encrypter.setPassphrase("correct horse");
  encrypter.setScryptWorkFactor(10);
  const file = Buffer.from(await encrypter.encrypt("hello"));
  const asked: string[] = [];
  const asking = (answers: string[]): Parameters<typeof unlocking>[1] => ({
    ...context(new AbortController().signal).ask,
    possible: true,
    secret: async () => {
      asked.push("once");
      return await Promise.resolve(answers.shift() ?? "");
    },
  });
  const open = unlocking(undefined, asking(["wrong", "correct horse"]));
  for (let turn = 0; turn < 2; turn += 1) {
    const source = await decryptedSource(bufferSource(file), "x", open);
    assert.equal((await source.read(0, 5)).toString(), "hello");
  }
  assert.equal(asked.length, 2);
  await assert.rejects(decryptedSource(bufferSource(file), "x", unlocking(undefined, asking(["a", "b", "c"]))), {
    reason: "WrongPassphrase",
  });
  const { ask } = context(new AbortController().signal);
  await assert.rejects(decryptedSource(bufferSource(file), "x", unlocking(undefined, ask)), { reason: "PassphraseNeeded" });
  // Not a damaged file: one that takes more memory than a file may ask for.
  const costly = Buffer.from(file.toString("latin1").replace(/^(-> scrypt \S+) 10$/m, "$1 21"), "latin1");
  await assert.rejects(decryptedSource(bufferSource(costly), "x", unlocking(undefined, asking(["correct horse"]))), {
    reason: "WorkFactorTooHigh",
  });
});

test("no identity, and files that were changed, cut or put together anew: each is an error", async () => {
  const { ask } = context(new AbortController().signal);
  const plain = randomBytes(3 * CHUNK);
  const file = await sealed(plain);
  await assert.rejects(decryptedSource(bufferSource(file), "x", unlocking(undefined, ask)), { reason: "IdentityNeeded" });
  const header = (await newHeader([recipient])).bytes.length;
  const chunk = CHUNK + 16;
  const cases: Record<string, Buffer> = {
    "a byte of the header": changed(file, 30),
    "a byte of its MAC": changed(file, header - 5),
    "the nonce": changed(file, header + 3),
    "a byte in the middle": changed(file, header + 16 + chunk + 5),
    "a byte at the end": changed(file, file.length - 1),
    "cut after a chunk": file.subarray(0, header + 16 + 2 * chunk),
    "cut in a chunk": file.subarray(0, file.length - 100),
    "cut in the header": file.subarray(0, header - 10),
    "a chunk taken out": Buffer.concat([file.subarray(0, header + 16), file.subarray(header + 16 + chunk)]),
    "more behind it": Buffer.concat([file, Buffer.alloc(20)]),
  };
  for (const [what, bytes] of Object.entries(cases)) {
    const read = async (): Promise<void> => {
      const source = await decryptedSource(bufferSource(bytes), "x", unlock);
      await source.read(0, source.size);
    };
    await assert.rejects(read(), /AgeDamaged|NotARecipient|UserError/, what);
    await assert.rejects(all(decryptedPieces(inPieces(bytes, 5000), "x", unlock)), { name: "UserError" }, what);
  }
});

function changed(file: Buffer, at: number): Buffer {
  const copy = Buffer.from(file);
  copy[at] = (copy[at] ?? 0) ^ 1;
  return copy;
}

test("recipients: of words and files; what is none is a usage error", async () => {
  const list = join(directory, "recipients");
  writeFileSync(list, `# the team\n${recipient}\n\n`);
  assert.deepEqual(await readRecipients([`@${list}`, recipient]), [recipient]);
  await assert.rejects(readRecipients(["bob"]), { exitCode: 2, message: /invalid value "bob" for --encrypt-to/ });
  await assert.rejects(readRecipients(["age1nonsense"]), { exitCode: 2 });
  for (const other of ["age1yubikey1qwt50d05nh5vutpdzmlg5wn80xq5negm4uj9ghv0snvdd3yysf5yw3rhl3t", "ssh-ed25519 AAAA"])
    await assert.rejects(readRecipients([other]), { exitCode: 2, why: "recipients of plugins and SSH keys are not supported" });
  await assert.rejects(readRecipients(["@/nowhere"]), { exitCode: 2 });
  await assert.rejects(readIdentities(list), { reason: "IdentityUnusable" });
  assert.equal(readFileSync(list, "utf8").length > 0, true);
});
