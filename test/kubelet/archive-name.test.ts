import assert from "node:assert/strict";
import { test } from "node:test";
import { readArchiveName } from "../../src/kubelet/archive-name.ts";

function readings(name: string): string[] | undefined {
  return readArchiveName(name)?.readings.map(({ namespace, container }) => `${namespace}/${container}`);
}

test("a name without a dash in namespace and container is certain", () => {
  const name = "checkpoint-web-7d9f4c.example_default-nginx-2026-11-24T06:10:21Z.tar";
  assert.deepEqual(readArchiveName(name), { pod: "web-7d9f4c.example", readings: [{ namespace: "default", container: "nginx" }] });
});

test("dashes leave every reading open that could be", () => {
  assert.deepEqual(readings("checkpoint-p_kube-system-c-1-2026-11-24T06:10:21Z.tar"), [
    "kube/system-c-1",
    "kube-system/c-1",
    "kube-system-c/1",
  ]);
  assert.deepEqual(readings("checkpoint-p_a--b-2026-11-24T06:10:21Z.tar"), undefined, "no label begins or ends with a dash");
  assert.deepEqual(readings("checkpoint-p_a--b-c-2026-11-24T06:10:21Z.tar"), ["a--b/c"]);
  assert.deepEqual(readings("checkpoint-p_2026-11-24T06:10:21Z.tar"), undefined);
});

test("times in the node's own zone", () => {
  for (const zone of ["Z", "+02:00", "-05:30"])
    assert.deepEqual(readings(`checkpoint-p_n-c-2026-11-24T06:10:21${zone}.tar`), ["n/c"], zone);
});

test("what the kubelet does not call an archive", () => {
  for (const name of [
    "backup.tar",
    "checkpoint-p_n-c-2026-11-24T06:10:21Z.tar.gz",
    "checkpoint-P_n-c-2026-11-24T06:10:21Z.tar",
    "checkpoint-p_n-c.tar",
    "checkpoint-p-n-c-2026-11-24T06:10:21Z.tar",
    "xcheckpoint-p_n-c-2026-11-24T06:10:21Z.tar",
    "checkpoint-p_n_x-c-2026-11-24T06:10:21Z.tar",
    "checkpoint-p_n-c\n-2026-11-24T06:10:21Z.tar",
    "",
  ])
    assert.equal(readArchiveName(name), undefined, name);
});

test("a long name is read at once", () => {
  const started = Date.now();
  readArchiveName(`checkpoint-p_${"a-".repeat(20_000)}-2026-11-24T06:10:21Z.tar`);
  readArchiveName(`checkpoint-${"a".repeat(100_000)}`);
  assert.ok(Date.now() - started < 2000);
});
