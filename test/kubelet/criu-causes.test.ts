import assert from "node:assert/strict";
import { test } from "node:test";
import { CAUSES, CriuLogReader } from "../../src/kubelet/criu-causes.ts";
import { phraseOf, plain } from "../../src/model/phrase.ts";

function failure(...lines: string[]): { why: string; fix: string | undefined } {
  const reader = new CriuLogReader();
  const log = Buffer.from(
    [
      "(00.000000) Version: 4.2.1 (gitid 0)",
      "(00.001000) Warn  (criu/kerndat.c:1135): $XDG_RUNTIME_DIR not set",
      "(00.002000) Error (criu/mem.c:1): Dirty tracking is OFF",
      ...lines,
      "(00.030000) Error (criu/cr-dump.c:1737): Dump files (pid: 78) failed with -1",
      "(00.031000) Error (criu/cr-dump.c:2170): Dumping FAILED.",
      "",
    ].join("\n"),
  );
  // In pieces that end anywhere.
  for (let at = 0; at < log.length; at += 7) reader.read(log.subarray(at, at + 7));
  return said(reader);
}

function said(reader: CriuLogReader): { why: string; fix: string | undefined } {
  const { why, fix } = reader.failure();
  return { why: plain(phraseOf(why)), fix: fix === undefined ? undefined : plain(phraseOf(fix)) };
}

const ERROR = "(00.012151) Error (criu/x.c:1): ";

/** Lines of real logs: of this project's cluster, and of CRIU's issues. */
const KNOWN: readonly (readonly [string, RegExp, RegExp])[] = [
  ["Unknown shit 600 (anon_inode:[io_uring])", /^a process uses io_uring/, /seccompProfile/],
  ["vdso: Unexpected rt vDSO area bounds", /too old for its kernel.*criu#2532/, /CRIU 4\.2/],
  ["sockets: Can't get 1:16 opt: Operation not supported", /too old for its kernel.*criu#2705/, /CRIU 4\.2/],
  [
    "inet: Connected TCP socket, consider using --tcp-established option.",
    /established TCP connections/,
    /--criu-option tcp-established .*runc\.conf/,
  ],
  ["unix: External socket is used. Consider using --ext-unix-sk option.", /Unix socket/, /ext-unix-sk/],
  ["unix: Can't dump half of stream unix connection. name: (null); peer name: /tmp/x", /Unix socket/, /ext-unix-sk/],
  [
    "Can't dump ghost file /tmp/x of 2097152 size, increase limit",
    /deleted file.*larger than CRIU saves/,
    /--criu-option ghost-limit=64M .*ghost-limit 64M/,
  ],
  ["Can't create link remap for /tmp/x. Use link-remap option.", /another name/, /--criu-option link-remap/],
  ["suspending seccomp failed: Operation not permitted", /seccomp filter/, /Unconfined/],
  ["mnt: No mapping for 1310:(null) mountpoint", /another OCI runtime/, /OCI runtime that made it/],
  ["Some file locks are hold by dumping tasks! You can try --file-locks to dump them.", /file locks/, /file-locks/],
  ["fsnotify: \tCan't dump that handle", /watches files/, /--criu-option irmap-scan-path=/],
  ["Can't dump file 17 of that type [20666] (chr 195:255)", /NVIDIA/, /CUDA/],
  ["Can't dump file 3 of that type [20666] (chr 10:229)", /FUSE/, /FUSE/],
  ["mnt: 637:./usr/lib/firmware/x.bin doesn't have a proper root mount", /origin of a mount/, /mount/],
  ["Can't write pages: No space left on device", /no space for CRIU's images/, /doctor/],
  ["Unable to connect a transport socket: Permission denied", /SELinux or AppArmor/, /ausearch/],
  ["tty: Found dangling tty with sid 1 pgid 1 (/dev/pts/0), consider using --shell-job", /terminal/, /exec/],
  ["Unseizable non-zombie 9626 found, state D, err -1/4", /between vfork and exec/, /rerun/],
  ["Can't dump file 36 of that type [20666] (chr 99:0)", /a device or another file/, /log names/],
];

test("known causes, each with its line and a fix", () => {
  for (const [line, why, fix] of KNOWN) {
    const found = failure(ERROR + line);
    assert.match(found.why, why, line);
    assert.equal(found.why.split("\n")[1], (ERROR + line).trim());
    assert.match(found.fix ?? "", fix);
  }
});

test("each cause has a name of its own, which the doctor's checks refer to", () => {
  assert.equal(new Set(CAUSES.map(({ name }) => name)).size, CAUSES.length);
});

test("what is particular counts before what is general", () => {
  const found = failure(`${ERROR}Can't dump file 15 of that type [600] (unknown [anon_inode:[io_uring]])`);
  assert.match(found.why, /^a process uses io_uring/);
});

test("a refused connection is no FUSE, and a path of NVIDIA's no GPU", () => {
  for (const line of [
    "Can't connect to the server: Connection refused",
    "Can't open file opt/nvidia/entrypoint.sh on restore: No such file",
  ])
    assert.equal(failure(ERROR + line).why, `its log says:\n${ERROR}${line}`);
  assert.match(failure(`${ERROR}Unknown fs type fuse.sshfs`).why, /FUSE/);
  assert.match(failure(`${ERROR}mnt: 637:./usr/bin/nvidia-smi doesn't have a proper root mount`).why, /NVIDIA/);
});

test("unknown causes: the lines, without those that are in every log", () => {
  const found = failure(`${ERROR}something new`, "(00.013) Warn  (criu/y.c:2): not an error", `${ERROR}something else`);
  assert.equal(found.why, `its log says:\n${ERROR}something new\n${ERROR}something else`);
  assert.equal(found.fix, undefined);
});

test("a log without an error; one line of a gigabyte's kind", () => {
  assert.equal(said(new CriuLogReader()).why, "its log has no error in it");
  const reader = new CriuLogReader();
  for (let count = 0; count < 200; count += 1) reader.read(Buffer.alloc(100_000, "x"));
  reader.read(Buffer.from(`\n${ERROR}${"y".repeat(5000)}\n`));
  assert.ok(said(reader).why.length < 700);
});
