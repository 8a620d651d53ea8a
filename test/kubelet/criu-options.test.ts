import assert from "node:assert/strict";
import { test } from "node:test";
import { criuOptionLine, isCriuOptionLine } from "../../src/kubelet/criu-options.ts";

test("options as lines of CRIU's configuration", () => {
  const lines = ["ghost-limit=64M", "tcp-established", "tcp-close", "file-locks", "ext-unix-sk", "link-remap"];
  assert.deepEqual(lines.map(criuOptionLine), [
    "ghost-limit 64M",
    "tcp-established",
    "tcp-close",
    "file-locks",
    "ext-unix-sk",
    "link-remap",
  ]);
  assert.equal(criuOptionLine("irmap-scan-path=/data"), "irmap-scan-path /data");
});

test("nothing else reaches the node's file", () => {
  const wrong = [
    "",
    "exec-cmd",
    "action-script=/x",
    "ghost-limit",
    "ghost-limit=",
    "ghost-limit=0",
    "ghost-limit=1T",
    "ghost-limit=1M\naction-script /x",
    "tcp-established=1",
    "irmap-scan-path=data",
    "irmap-scan-path=/data #x",
    "irmap-scan-path=/data\nlibdir /x",
    "constructor",
    "__proto__",
  ];
  for (const given of wrong) assert.throws(() => criuOptionLine(given), { reason: "Usage" }, given);
  assert.deepEqual(["ghost-limit 64M", "tcp-close", "ghost-limit=64M", "libdir /x", 1].map(isCriuOptionLine), [
    true,
    true,
    false,
    false,
    false,
  ]);
});
