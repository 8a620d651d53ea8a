// A root directory with nothing in it but the plugin as krew installs it, the libraries that it is linked with, and kubectl.
import { execFileSync, spawnSync, type SpawnSyncReturns } from "node:child_process";
import { existsSync } from "node:fs";
import { copyFile, cp, mkdir, realpath, symlink } from "node:fs/promises";
import { dirname, join } from "node:path";
import { VERSION } from "./packaged.ts";

export const KUBECTL = ["/run/kubectl-checkpoint/bin/kubectl", "/var/cache/checkpoint-cluster/bin/kubectl"];

/** Why no root can be made here; false where it can. */
export function needsRoot(): string | false {
  if (process.platform !== "linux" || process.arch !== "x64") return "it needs Linux on x86-64";
  return process.getuid?.() === 0 ? false : "it needs root";
}

export interface KrewRoot {
  readonly root: string;
  readonly hasKubectl: boolean;
  readonly libraries: readonly string[];
  run(command: readonly string[], env: NodeJS.ProcessEnv): SpawnSyncReturns<string>;
}

/** Fills an empty folder. */
export async function krewRoot(root: string, unpacked: string): Promise<KrewRoot> {
  const store = `/krew/store/checkpoint/v${VERSION}`;
  await mkdir(join(root, "bin"));
  await cp(unpacked, join(root, store), { recursive: true });
  await symlink(`${store}/kubectl-checkpoint`, join(root, "bin/kubectl-checkpoint"));
  const libraries = librariesOf(join(unpacked, "kubectl-checkpoint"));
  for (const library of libraries) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(await realpath(library), join(root, library));
  }
  const kubectl = KUBECTL.find(existsSync);
  if (kubectl !== undefined) await copyFile(kubectl, join(root, "bin/kubectl"));
  // In a mount namespace of its own, where the root can be made read-only.
  const script = `mount --bind "$0" "$0" && mount -o remount,bind,ro "$0" && exec chroot "$0" "$@"`;
  return {
    root,
    hasKubectl: kubectl !== undefined,
    libraries,
    run: (command, env) =>
      spawnSync("/usr/bin/unshare", ["--mount", "/bin/sh", "-c", script, root, ...command], {
        // No HOME.
        env: { ...env, PATH: "/usr/sbin:/usr/bin:/sbin:/bin" },
        encoding: "utf8",
      }),
  };
}

/** Paths of the shared libraries of an executable, by the dynamic linker. */
function librariesOf(executable: string): string[] {
  const listed = execFileSync("ldd", [executable], { encoding: "utf8" });
  return [...listed.matchAll(/^\s+(?:\S+ => )?(\/\S+)/gm)].flatMap(([, path]) => path ?? []);
}
