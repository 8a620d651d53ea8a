import { UserError } from "../../model/error.ts";
import { formatBytes } from "../../model/units.ts";
import type { DeepFacts } from "../facts/deep.ts";
import { enough, fail, ok, skip, warn, type Check } from "../finding.ts";
import { criuTooOld } from "../versions.ts";

const LITTLE_ROOM = 1024 ** 3;
const FEW_INODES = 1000;
const INSTALL = "on the node, install CRIU 4.2 or later (Debian, Ubuntu: apt install criu)";

export const DEEP_CHECKS: readonly Check<DeepFacts>[] = [
  {
    name: "criu",
    decides: ["checkpoint", "restore"],
    judge: ({ programs, kernel }) => {
      if (programs === undefined) return skip("the helper image has no chroot, and cannot ask");
      const { criu } = programs;
      if (criu === "missing") return fail("there is no CRIU on the node, which its runtime checkpoints with", INSTALL);
      const old = criuTooOld(criu, kernel);
      return old === undefined
        ? ok(`${criu}, on kernel ${kernel}`)
        : fail(`${criu} is too old: ${old.why}`, `${INSTALL}; at least ${old.least}`);
    },
  },
  {
    name: "oci-runtime",
    decides: ["checkpoint"],
    judge: ({ programs }) => {
      if (programs === undefined) return skip("the helper image has no chroot, and cannot ask");
      const found = (["runc", "crun"] as const).flatMap((name) => (programs[name] === "missing" ? [] : [`${name} ${programs[name]}`]));
      return found.length === 0
        ? warn("neither runc nor crun is where programs usually are: others do not checkpoint")
        : ok(found.join(", "));
    },
  },
  {
    name: "criu-config",
    decides: [],
    judge: ({ config }) => {
      const given = (["runc", "crun"] as const).flatMap((name) =>
        config[name] === undefined ? [] : [{ file: `/etc/criu/${name}.conf`, lines: meant(config[name]) }],
      );
      const moved = given.find(({ lines }) => lines.some((line) => line.startsWith("images-dir")));
      if (moved !== undefined)
        return fail(`images-dir in ${moved.file}: archives lack CRIU's images`, `on the node, take that line out of ${moved.file}`);
      const said = given.map(({ file, lines }) => `${file}: ${lines.join(", ") || "empty"}`);
      return ok(
        said.length === 0
          ? "no options for CRIU: established TCP connections, file locks and external sockets keep a container from being dumped"
          : said.join("; "),
      );
    },
  },
  {
    name: "checkpoint-directory",
    decides: ["checkpoint", "copy"],
    judge: ({ directory }) => {
      if (directory instanceof UserError) return warn(directory.whole, directory.said.fix);
      const { room, archives, bytes } = directory;
      const there = `${archives} files, ${formatBytes(bytes)}`;
      if (room === undefined) return ok(`${there}; the helper image cannot tell what is free (no stat)`);
      const free = `${formatBytes(room.freeBytes)} and ${room.freeInodes} inodes free`;
      const short = room.freeBytes < LITTLE_ROOM || (room.inodes > 0 && room.freeInodes < FEW_INODES);
      return short ? warn(`${there}; only ${free}`, "kubectl checkpoint prune -A --keep 1") : enough(`${there}; ${free}`, room.freeBytes);
    },
  },
  {
    name: "tmp",
    decides: ["checkpoint"],
    judge: ({ tmp }) => {
      if (tmp === undefined) return skip("the helper image cannot tell what is free (no stat)");
      const message = `${formatBytes(tmp.freeBytes)} free in /tmp, where CRIU's images go first`;
      return tmp.freeBytes < LITTLE_ROOM ? warn(message, "on the node, make room in /tmp") : enough(message, tmp.freeBytes);
    },
  },
  {
    name: "selinux",
    decides: [],
    judge: ({ selinux }) =>
      selinux === "enforcing"
        ? ok("enforcing; where a dump fails with Permission denied, on the node: ausearch -m avc -ts recent")
        : ok(selinux === "none" ? "not in use" : selinux),
  },
];

/** Without comments. */
function meant(lines: readonly string[] = []): string[] {
  return lines.map((line) => line.replace(/#.*/, "").trim()).filter((line) => line !== "");
}

export function keepsConnections({ config }: DeepFacts): boolean {
  return [...meant(config.runc), ...meant(config.crun)].includes("tcp-established");
}
