// What /proc of a node says of a container, and what of it a checkpoint would meet.
import assert from "node:assert/strict";
import { test } from "node:test";
import { DEEP_CHECKS } from "../../src/doctor/checks/deep.ts";
import { PROCESS_CHECKS, type JudgedProcesses } from "../../src/doctor/checks/processes.ts";
import { parseProcesses } from "../../src/doctor/facts/processes.ts";
import { runChecks } from "../../src/doctor/finding.ts";
import { sleepOf } from "../../src/doctor/programs.ts";
import { CAUSES } from "../../src/kubelet/criu-causes.ts";
import { phraseOf, plain } from "../../src/model/phrase.ts";

test("every cause that CRIU's log is known for has a check that sees it beforehand, but for these", () => {
  const unseen = {
    mounts: "how CRIU pairs a container's mounts with the node's is its own matter",
    "masked-paths": "it is of a restore: the runtimes of both nodes have to be known",
    policy: "what SELinux or AppArmor denies is known only when it is tried; the check selinux says that it enforces",
  };
  const seen = [...DEEP_CHECKS, ...PROCESS_CHECKS].flatMap(({ sees = [] }) => sees);
  assert.deepEqual(
    CAUSES.map(({ name }) => name).filter((name) => !seen.includes(name)),
    Object.keys(unseen),
  );
  assert.deepEqual(
    seen.filter((name) => CAUSES.every((cause) => cause.name !== name)),
    [],
    "of a cause that is none",
  );
});

const ID = "0a1b2c3d";

/** Of the operation: process 1 of a container, with these lines. */
function lines(...own: string[]): string[] {
  return [
    "looked readlink",
    "looked stat",
    `container ${ID}`,
    "process 700",
    "name sleep",
    "NSpid: 700 1",
    "PPid: 650",
    "State: S (sleeping)",
    "Seccomp: 0",
    "arg sleep",
    "exe /bin/busybox",
    "call 700 230",
    "ns-pid pid:[1]",
    "ns-user user:[2]",
    ...own,
  ];
}

function judged(said: readonly string[], more: Partial<JudgedProcesses> = {}): Map<string, string> {
  const processes = parseProcesses(said).get(ID);
  assert.ok(processes);
  const options = { names: new Set<string>(), ghostLimit: undefined };
  const target = { node: "node1", namespace: "shop", pod: "cart", container: "app" };
  const facts = { processes, target, containerID: `containerd://${ID}`, architecture: "amd64", options, nodeFiltered: false, ...more };
  return new Map(
    runChecks(PROCESS_CHECKS, facts).map(({ check, status, message, fix }) => [
      check,
      `${status}: ${plain(phraseOf(message))}${fix === undefined ? "" : ` -> ${plain(phraseOf(fix))}`}`,
    ]),
  );
}

test("process 1 and its descendants are the container; what kubectl exec started is not", () => {
  const all = [
    ...lines(),
    `container ${ID}`,
    "process 701",
    "NSpid: 701 7",
    "PPid: 700",
    "name child",
    `container ${ID}`,
    "process 800",
    "NSpid: 800 9",
    "PPid: 650",
    "name exec",
    "container ffff",
    "process 900",
    "NSpid: 900 1",
    "PPid: 651",
    "name other",
  ];
  const found = parseProcesses(all);
  assert.deepEqual([...found.keys()], [ID, "ffff"]);
  const { own = [], others = [] } = found.get(ID) ?? {};
  assert.deepEqual([own.map(({ name }) => name), others.map(({ name }) => name)], [["sleep", "child"], ["exec"]]);
  assert.match(judged(all).get("exec-sessions") ?? "", /^warn: processes that kubectl exec.* are not in an archive: 9 \(exec\)/);
});

test("a name that holds a line break says nothing else", () => {
  const { own = [] } =
    parseProcesses([...lines(), "file socket:[5]", "deleted 1 0 fd /tmp/a", "deleted 1 0 fd lock (deleted)"]).get(ID) ?? {};
  assert.equal(own[0]?.locks, 0);
  assert.deepEqual(own[0]?.deleted, [{ how: "fd", path: "lock", bytes: 1, names: 0 }]);
});

test("what an interrupted sleep does depends on the program", () => {
  const of = (exe: string, arg: string, call: number, name = "x") => {
    const [process] =
      parseProcesses(
        lines().map((line) =>
          line.startsWith("exe ")
            ? `exe ${exe}`
            : line.startsWith("arg ")
              ? `arg ${arg}`
              : line.startsWith("call ")
                ? `call 700 ${call}`
                : line,
        ),
      ).get(ID)?.own ?? [];
    assert.ok(process);
    const sleep = sleepOf({ ...process, name }, "amd64");
    return sleep === undefined ? undefined : [sleep.program, sleep.call, sleep.fate];
  };
  assert.deepEqual(of("/bin/busybox", "/bin/sleep", 230), ["busybox sleep", "clock_nanosleep", "ends"]);
  assert.deepEqual(of("/bin/busybox", "sh", 7), ["busybox sh", "poll", "continues"]);
  assert.deepEqual(of("/usr/bin/sleep", "sleep", 230), ["sleep", "clock_nanosleep", "continues"]);
  assert.deepEqual(of("/usr/bin/python3.14", "python3", 230), ["python3.14", "clock_nanosleep", "continues"]);
  assert.deepEqual(of("/app/server", "server", 202), ["server", "futex", "unknown"]);
  assert.equal(of("/app/server", "server", 61), undefined, "wait4 is not interrupted");
  assert.match(
    judged(lines()).get("process-1") ?? "",
    /^warn: process 1 \(busybox sleep\) is in clock_nanosleep.* ends, and the container with it/,
  );
});

test("what CRIU does not dump by itself, with the option or the change that helps", () => {
  const MIB = 2 ** 20;
  const cases: [string[], string, RegExp][] = [
    [
      [`deleted ${2 * MIB} 0 exe /tmp/x (deleted)`],
      "deleted-files",
      /^fail: .*\/tmp\/x \(the program itself, 2\.0 MiB\) -> .*ghost-limit=4M$/,
    ],
    [[`deleted ${MIB} 0 map /tmp/x (deleted)`], "deleted-files", /^ok: 1 deleted file open/],
    [["deleted 5 1 fd /tmp/x (deleted)"], "deleted-files", /^fail: .*still have other names.* -> .*link-remap$/],
    [["deleted - - map /tmp/x (deleted)"], "deleted-files", /^skip: .*no stat/],
    [["deleted 99999999 0 map /memfd:x (deleted)"], "deleted-files", /^ok: none is open/],
    [["lock"], "file-locks", /^fail: 1 file lock: .* -> kubectl checkpoint pod\/cart -c app -n shop --criu-option file-locks$/],
    [["watch f8"], "file-watches", /^fail: 1 watch of files.*overlay.* -> .*irmap-scan-path/],
    [["watch 1"], "file-watches", /^ok/],
    [["file socket:[5]", "tcp 01 5 00000000:00000000"], "connections", /^fail: 1 established TCP connection: .* -> .*tcp-established$/],
    [["file socket:[5]", "tcp 01 6 00000000:00000000"], "connections", /^ok: 0 established/],
    [["file socket:[5]", "tcp 0A 5 00000000:00000002"], "connections", /^warn: .*2 connections not yet accepted/],
    [["file socket:[5]", "unix 5 6"], "unix-sockets", /^fail: 1 Unix socket connected to a process outside.* -> .*ext-unix-sk$/],
    [["file anon_inode:[io_uring]"], "open-files", /^fail: it uses io_uring/],
    [["file anon_inode:[perf_event]"], "open-files", /^(fail|warn): /],
    [["file /dev/snd/timer"], "open-files", /^(fail|warn): .*\/dev\/snd\/timer/],
    [["file /dev/nvidia0"], "gpu-devices", /^warn: a GPU is in use \(\/dev\/nvidia0\)/],
    [["mount /data fuse.sshfs host: rw"], "fuse", /^fail: FUSE at \/data/],
    [[`container ${ID}`, "process 701", "NSpid: 701 7 1", "PPid: 700", "ns-pid pid:[9]", "ns-user user:[2]"], "nested-namespaces", /^fail/],
    [["State: D (disk sleep)"], "uninterruptible", /^warn: .*1 \(sleep\)/],
    [["State: T (stopped)"], "stopped", /^fail: processes are stopped .*: 1 \(sleep\); CRIU waits .* -> continue or end them first:$/m],
    [
      ["State: T (stopped)"],
      "stopped",
      /\nkubectl exec cart -n shop -c app -- sh -c 'kill -CONT 1'\nor, as root on node1: kill -CONT 700$/,
    ],
    [
      // Of kubectl exec; and of a PID namespace in the container's: kill there wants the container's number.
      `container ${ID}|process 800|NSpid: 800 9|PPid: 650|name vi|State: T (stopped)|container ${ID}|process 801|NSpid: 801 10 1|PPid: 700|name job|State: T (stopped)`.split(
        "|",
      ),
      "stopped",
      /^fail: .*: 10 \(job\), 9 \(vi\); .*\n.* -- sh -c 'kill -CONT 10 9'\nor, as root on node1: kill -CONT 801 800$/,
    ],
    [["frozen"], "frozen", /^fail: it is frozen: .*ctr -n k8s\.io task resume 0a1b2c3d; if that hangs, .*kill -9 the criu process/],
  ];
  for (const [own, check, expected] of cases) {
    const said = own[0]?.startsWith("State:") ? lines().map((line) => (line.startsWith("State:") ? (own[0] ?? "") : line)) : lines(...own);
    assert.match(String(judged(said).get(check)), expected, JSON.stringify(own));
  }
  assert.equal(judged(lines()).get("frozen"), undefined);
  const limit = { names: new Set(["ghost-limit", "tcp-established", "file-locks", "link-remap"]), ghostLimit: 64 * MIB };
  const allowed = judged(
    lines(`deleted ${2 * MIB} 0 exe /tmp/x (deleted)`, "deleted 5 1 fd /tmp/y (deleted)", "lock", "file socket:[5]", "tcp 01 5 0:0"),
    { options: limit },
  );
  for (const check of ["deleted-files", "file-locks", "connections"]) assert.match(allowed.get(check) ?? "", /^ok/, check);
  assert.match(
    judged(
      lines().map((line) => (line.startsWith("Seccomp") ? "Seccomp: 2" : line)),
      { nodeFiltered: true },
    ).get("seccomp") ?? "",
    /^fail: it has a seccomp filter/,
  );
});
