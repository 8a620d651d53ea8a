// skopeo and the registries' CA, out of the cluster: what images are read back with.
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { ADMIN } from "./harness.ts";

/** The CA of the cluster's registries. */
export const CA = join(ADMIN, "../pki/ca.crt");

/** The command line of the skopeo in the cluster's Debian tree, with that tree's own libraries. */
export function skopeo(): [string, ...string[]] {
  const tree = /^TREE=(.*)$/m.exec(readFileSync(join(ADMIN, "../builds"), "utf8"))?.[1] ?? "";
  const machine = { x64: "x86_64", arm64: "aarch64" }[process.arch as string] ?? process.arch;
  const loader = machine === "x86_64" ? "lib64/ld-linux-x86-64.so.2" : `lib/ld-linux-${machine}.so.1`;
  return [join(tree, loader), "--library-path", join(tree, `usr/lib/${machine}-linux-gnu`), join(tree, "usr/bin/skopeo")];
}
