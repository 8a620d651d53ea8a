// node .ci/package/helper/lock.ts: writes .ci/package/helper/packages.json anew: the packages of the helper image as Debian's signed index has them
// today, of every architecture with their SHA-256. Needs curl, xz, gpgv and Debian's keyring.
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { ARCHITECTURES, CONTENTS, type Architecture } from "./packages.ts";

/** .ci/package/helper/packages.json */
export interface Lock {
  readonly suite: string;
  /** When that index was made: snapshot.debian.org has the packages of that day for ever. */
  readonly date: string;
  readonly packages: readonly LockedPackage[];
}

export interface LockedPackage {
  readonly name: string;
  /** The source package and its version, where the source of the program is to be had. */
  readonly source: string;
  readonly architectures: Readonly<Record<Architecture, LockedFile>>;
}

export interface LockedFile {
  readonly version: string;
  /** Below the mirror's root. */
  readonly path: string;
  readonly sha256: string;
}

export const LOCK = join(import.meta.dirname, "packages.json");

const SUITE = "forky";
const MIRROR = process.env["DEBIAN_MIRROR"] ?? "http://deb.debian.org/debian";
const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

if (import.meta.main) writeFileSync(LOCK, `${JSON.stringify(resolve(), undefined, 2)}\n`);

function resolve(): Lock {
  const folder = mkdtempSync(join(tmpdir(), "debian-"));
  try {
    const release = join(folder, "InRelease");
    const signed = join(folder, "Release");
    fetch(`dists/${SUITE}/InRelease`, release);
    // Only what the signature covers is read.
    execFileSync("gpgv", ["--quiet", "--keyring", KEYRING, "--output", signed, release], { stdio: ["ignore", "ignore", "pipe"] });
    const text = readFileSync(signed, "utf8");
    const date = /^Date: (.+)$/m.exec(text)?.[1];
    const sums = text.slice(text.indexOf("\nSHA256:"));
    const indexes = ARCHITECTURES.map((architecture): [Architecture, Map<string, string>] => {
      const path = `main/binary-${architecture}/Packages.xz`;
      const wanted = new RegExp(`^ ([0-9a-f]{64}) +\\d+ ${path}$`, "m").exec(sums)?.[1];
      const file = join(folder, architecture);
      fetch(`dists/${SUITE}/${path}`, file);
      if (wanted === undefined || sha256(readFileSync(file)) !== wanted) throw new Error(`${path} is not the one that was signed`);
      return [architecture, stanzas(execFileSync("xz", ["-dc", file], { maxBuffer: 1e9, encoding: "utf8" }))];
    });
    if (date === undefined) throw new Error("Release has no date");
    return { suite: SUITE, date: new Date(date).toISOString(), packages: Object.keys(CONTENTS).map((name) => locked(name, indexes)) };
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function locked(name: string, indexes: readonly [Architecture, Map<string, string>][]): LockedPackage {
  const found = indexes.map(([architecture, index]) => {
    const stanza = index.get(name) ?? "";
    const field = (label: string): string | undefined => new RegExp(`^${label}: (.+)$`, "m").exec(stanza)?.[1];
    const [version, path, sum, source = name] = ["Version", "Filename", "SHA256", "Source"].map(field);
    if (version === undefined || path === undefined || sum === undefined) throw new Error(`${SUITE} has no ${name} for ${architecture}`);
    const named = /\(/.test(source) ? source.replace(/[()]/g, "") : `${source} ${version.replace(/\+b\d+$/, "")}`;
    return { architecture, source: named, file: { version, path, sha256: sum } };
  });
  const [source, ...others] = new Set(found.map((one) => one.source));
  if (source === undefined || others.length > 0) throw new Error(`${name} is of different sources on different architectures`);
  const architectures = Object.fromEntries(found.map(({ architecture, file }) => [architecture, file]));
  return { name, source, architectures: architectures as Record<Architecture, LockedFile> };
}

function stanzas(index: string): Map<string, string> {
  return new Map(index.split("\n\n").map((stanza) => [/^Package: (.+)$/m.exec(stanza)?.[1] ?? "", stanza]));
}

function fetch(path: string, file: string): void {
  execFileSync("curl", ["--silent", "--show-error", "--fail", "--location", "--output", file, `${MIRROR}/${path}`]);
}

export function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
