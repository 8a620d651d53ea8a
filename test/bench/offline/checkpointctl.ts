// The peer: $CHECKPOINTCTL, or version 1.6.0 built from its Go module, outside of this project.
import { execFileSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { CACHE } from "./archive.ts";

const MODULE = "github.com/checkpoint-restore/checkpointctl@v1.6.0";
/** Version 1.6.0 asks for a go-criu that the module proxy does not have. */
const GO_CRIU = "github.com/checkpoint-restore/go-criu/v8";

/** Its path. Throws where Go is missing or the modules cannot be had. */
export function checkpointctl(): string {
  const given = process.env["CHECKPOINTCTL"];
  if (given !== undefined) return given;
  const built = join(CACHE, "checkpointctl-1.6.0");
  if (existsSync(built)) return built;
  const source = join(CACHE, "checkpointctl-source");
  const env = { ...process.env, PATH: `${process.env["PATH"]}:/usr/local/go/bin`, GOFLAGS: "-mod=mod" };
  const go = (...args: string[]): string => execFileSync("go", args, { env, cwd: existsSync(source) ? source : CACHE, encoding: "utf8" });
  rmSync(source, { recursive: true, force: true });
  mkdirSync(CACHE, { recursive: true });
  const { Dir } = JSON.parse(go("mod", "download", "-json", MODULE)) as { Dir: string };
  cpSync(Dir, source, { recursive: true });
  execFileSync("chmod", ["-R", "u+w", source]);
  go("mod", "edit", "-replace", `${GO_CRIU}=${GO_CRIU}@v8.3.0`);
  go("build", "-o", built, ".");
  chmodSync(built, 0o755);
  rmSync(source, { recursive: true });
  return built;
}
