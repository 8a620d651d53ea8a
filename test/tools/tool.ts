// The programs of other people that tests compare with: pinned ones that `tool` makes, and those of the cluster's Debian tree.
import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, readdirSync, statSync } from "node:fs";
import { delimiter, join } from "node:path";

const TOOL = join(import.meta.dirname, "tool");
const CANNOT = 3;

export type Tool = { readonly path: string; readonly missing: false } | { readonly path: undefined; readonly missing: string };

/**
 * A program of `programs`, by its name: its path, or why it cannot be made on this machine (no Go, not Linux), as the reason of a skipped
 * test. Made now where it is not cached, which can take minutes (cosign: 6). Throws where making it fails.
 */
export function tool(name: string): Tool {
  if (process.platform === "win32") return { path: undefined, missing: `${name} is made on Linux and macOS only` };
  const { status, stdout, stderr, error } = spawnSync(TOOL, [name], { encoding: "utf8" });
  if (status === 0) return { path: stdout.trim(), missing: false };
  if (status === CANNOT) return { path: undefined, missing: stderr.trim().split("\n").at(-1) ?? "" };
  throw new Error(`test/tools/tool ${name}: ${stderr}`, { cause: error });
}

const CLUSTER_CACHE = process.env["CLUSTER_CACHE"] ?? "/var/cache/kubectl-checkpoint";

/**
 * The command line of a program of this machine, else of the cluster's Debian tree (test/cluster/tree.sh), run there by the tree's own
 * dynamic linker and libraries. Undefined where neither has it.
 */
export function program(name: string): readonly [string, ...string[]] | undefined {
  for (const folder of (process.env["PATH"] ?? "").split(delimiter)) {
    if (isExecutable(join(folder, name))) return [join(folder, name)];
  }
  const tree = newestTree();
  const path = ["usr/bin", "usr/sbin"].map((folder) => join(tree ?? "", folder, name)).find(isExecutable);
  if (tree === undefined || path === undefined) return undefined;
  const triplet = readdirSync(join(tree, "usr/lib")).find((folder) => folder.endsWith("-linux-gnu")) ?? "";
  const linker = readdirSync(join(tree, "usr/lib", triplet)).find((file) => /^ld-linux.*\.so\.\d$/.test(file));
  if (linker === undefined) return undefined;
  const libraries = join(tree, "usr/lib", triplet);
  return [join(libraries, linker), "--library-path", libraries, path];
}

function newestTree(): string | undefined {
  if (process.platform !== "linux" || !existsSync(CLUSTER_CACHE)) return undefined;
  const names = readdirSync(CLUSTER_CACHE).filter((name) => /^tree-[0-9a-f]+$/.test(name));
  const changed = (name: string): number => statSync(join(CLUSTER_CACHE, name)).mtimeMs;
  const newest = names.toSorted((one, other) => changed(other) - changed(one))[0];
  return newest === undefined ? undefined : join(CLUSTER_CACHE, newest);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** Go: the cluster's tree's, else this machine's. */
export function goProgram(): string | undefined {
  const tree = newestTree();
  const folders = [
    ...(tree === undefined ? [] : [join(tree, "usr/lib/go/bin")]),
    ...(process.env["PATH"] ?? "").split(delimiter),
    "/usr/local/go/bin",
  ];
  return folders.map((folder) => join(folder, "go")).find(isExecutable);
}
