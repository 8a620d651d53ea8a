// Configuration of runtimes as the helper pod's operation "runtime" prints it: lines of containerd 2.3.7's config dump and CRI-O 1.36.3's status
// config, shortened.
import assert from "node:assert/strict";
import { test } from "node:test";
import { parseRuntime } from "../../src/restore/runtimes.ts";
import { plain, say } from "../../src/model/phrase.ts";
import { parseSettings, refusedBy, type OciRuntime } from "../../src/restore/settings.ts";

const CRI = "plugins.'io.containerd.cri.v1.runtime'";
const containerd = ({ restores = true, criu = true, binary = "" } = {}): string[] => [
  "runtime containerd",
  "set [debug]",
  "set [plugins]",
  `set [${CRI}]`,
  `set enable_criu = ${criu}`,
  `set enable_experimental_restore_via_create = ${restores}`,
  `set [${CRI}.containerd]`,
  "set default_runtime_name = 'runc'",
  `set [${CRI}.containerd.runtimes.runc]`,
  "set runtime_path = ''",
  `set [${CRI}.containerd.runtimes.runc.options]`,
  `set BinaryName = '${binary}'`,
  "set [plugins.'io.containerd.snapshotter.v1.overlayfs']",
];
const crio = ({ name = "runc", criu = true, more = [] as string[] } = {}): string[] => [
  "runtime crio",
  "set [crio.runtime]",
  `set default_runtime = "${name}"`,
  `set enable_criu_support = ${criu}`,
  "set [crio.runtime.runtimes.crun]",
  'set runtime_path = "/usr/bin/crun"',
  "set [crio.runtime.runtimes.runc]",
  'set runtime_path = "/usr/bin/runc"',
  ...more.map((line) => `set ${line}`),
];

function refusal(version: string | undefined, lines: readonly string[], made?: OciRuntime) {
  const [settings] = parseSettings(lines);
  assert.ok(settings !== undefined);
  const refused = refusedBy("node2", version === undefined ? undefined : parseRuntime(version), settings, made);
  return refused === undefined ? undefined : plain(say`${refused.reason}: ${refused.why} / ${refused.fix ?? ""}`);
}

test("each process is one; what it does not say is unknown", () => {
  assert.deepEqual(parseSettings([...containerd({ binary: "/usr/bin/crun" }), ...crio(), "runtime containerd"]), [
    { name: "containerd", restores: true, criu: true, level: undefined, oci: "crun" },
    { name: "cri-o", restores: undefined, criu: true, level: undefined, oci: "runc" },
  ]);
  const unknown = { restores: undefined, criu: undefined, level: undefined };
  assert.deepEqual(parseSettings(["runtime crio", "set [crio.runtime]", 'set default_runtime = "kata"']), [
    { name: "cri-o", ...unknown, oci: undefined },
  ]);
  assert.deepEqual(parseSettings([]), []);
});

test("containerd: the switch of restores, of CRIU, and crun", () => {
  for (const version of ["containerd://2.2.9", "containerd://2.3.7"]) assert.equal(refusal(version, containerd(), "runc"), undefined);
  assert.match(
    refusal("containerd://2.3.7", containerd({ restores: false })) ?? "",
    /^RuntimeCannotRestore: node2: .*\[plugins\.'io\.containerd\.cri\.v1\.runtime'\] \/ .*set enable_experimental_restore_via_create = true, then restart/,
  );
  assert.match(refusal(undefined, containerd({ restores: false })) ?? "", /enable_experimental_restore_via_create = true/);
  assert.match(refusal("containerd://2.3.7", containerd({ criu: false })) ?? "", /set enable_criu = true/);
  for (const version of ["containerd://2.1.9", "containerd://2.3.7"]) {
    const lines = containerd({ binary: "/opt/bin/crun" });
    assert.match(refusal(version, lines, "runc") ?? "", /cannot restore with crun.*--no-subreaper/);
  }
  assert.match(refusal("containerd://2.3.7", containerd(), "crun") ?? "", /^EngineMismatch: .*only with runc .* of crun \/ .*--sandbox/);
});

test("CRI-O: either switch, and the OCI runtime that made the checkpoint", () => {
  assert.equal(refusal("cri-o://1.36.3", crio(), "runc"), undefined);
  assert.equal(refusal("cri-o://1.36.3", crio({ name: "crun" }), "crun"), undefined);
  assert.equal(refusal("cri-o://1.36.3", crio({ name: "crun" })), undefined);
  assert.match(refusal("cri-o://1.36.3", crio({ criu: false })) ?? "", /set enable_criu_support = true under \[crio\.runtime\]/);
  assert.match(
    refusal("cri-o://1.36.3", crio({ name: "crun" }), "runc") ?? "",
    /^EngineMismatch: node2 runs containers with crun.*made by runc/,
  );
  const level = (value: string): string[] => crio({ more: ["[crio.checkpoint_restore]", `container_level_enabled = "${value}"`] });
  assert.equal(refusal("cri-o://1.37.0", level("checkpoint_restore")), undefined);
  for (const value of ["checkpoint_only", "none"])
    assert.match(refusal("cri-o://1.37.0", level(value)) ?? "", /set container_level_enabled = "checkpoint_restore"/, value);
});
