import { UserError } from "../../model/error.ts";
import { CRIU_DIRECTORY } from "../../helper/criu-operations.ts";
import { command, joined, say, type Phrase } from "../../model/phrase.ts";
import { counted, formatBytes, formatSeconds } from "../../model/units.ts";
import { meant, type DeepFacts, type ProgramVersion } from "../facts/deep.ts";
import { enough, fail, ok, skip, warn, type Check, type Verdict } from "../finding.ts";
import { criuTooOld, looksOnce } from "../versions.ts";

/** A node's facts, and its runtime's word for itself. */
export interface JudgedDeep extends DeepFacts {
  readonly runtime: string;
}

const LITTLE_ROOM = 1024 ** 3;
const FEW_INODES = 1000;
const INSTALL = "on the node, install CRIU 4.2 or later (Debian, Ubuntu: apt install criu)";
const NO_CHROOT = "the helper image cannot run the node's programs (no chroot)";
const NO_STAT = "the helper image cannot see what is free (no stat)";

export const DEEP_CHECKS: readonly Check<JudgedDeep>[] = [
  {
    name: "criu",
    decides: ["checkpoint", "restore"],
    sees: ["vdso", "socket-options"],
    judge: ({ programs, kernel, runtime, criuAge, runtimeAge }) => {
      if (programs === undefined) return skip(NO_CHROOT);
      const { criu } = programs;
      if (criu === undefined)
        return fail(
          "the node has no CRIU, which its runtime checkpoints with",
          looksOnce(runtime) ? say`${INSTALL}; then ${restart(runtime)}` : INSTALL,
        );
      const old = criuTooOld(criu.version, kernel);
      if (old?.all === true) return fail(`${criu.version} is too old: ${old.why}`, `${INSTALL}; at least ${old.least}`);
      if (looksOnce(runtime) && criuAge !== undefined && runtimeAge !== undefined && criuAge < runtimeAge)
        return warn(
          say`${criu.version} was installed ${formatSeconds(criuAge)} ago, after the runtime started, which looks for CRIU only then`,
          say`on the node: ${restart(runtime)} (running containers are not affected)`,
        );
      return old === undefined
        ? ok(`${criu.version}, on kernel ${kernel}`)
        : warn(`${criu.version} is old: ${old.why}`, `${INSTALL}; at least ${old.least}`);
    },
  },
  {
    name: "oci-runtime",
    decides: ["checkpoint"],
    judge: ({ programs, libcriu }) => {
      if (programs === undefined) return skip(NO_CHROOT);
      const { runc, crun } = programs;
      const found = [...(runc === undefined ? [] : [`runc ${runc.version}`]), ...(crun === undefined ? [] : [`crun ${crun.version}`])];
      if (found.length === 0) return warn("neither runc nor crun is where programs usually are: others do not checkpoint");
      const lacks = crun === undefined ? undefined : crunLacks(crun, libcriu);
      if (lacks === undefined) return ok(found.join(", "));
      // Which of the two runs a container is the runtime's own matter.
      const verdict = (runc === undefined ? fail : warn)(say`${found.join(", ")}: ${lacks.what}`, lacks.fix);
      return runc === undefined ? verdict : { ...verdict, decides: [] };
    },
  },
  {
    name: "criu-config",
    decides: [],
    judge: ({ config, held }) => {
      if (held?.left === true)
        return warn(
          say`options of a --criu-option that was cut off are still in ${CRIU_DIRECTORY} (helper pod ${held.owner}): every checkpoint on the node uses them`,
          command`kubectl checkpoint doctor --deep --fix=apply`,
        );
      const given = (["runc", "crun"] as const).flatMap((name) =>
        config[name] === undefined ? [] : [{ file: `/etc/criu/${name}.conf`, lines: meant(config[name]) }],
      );
      const moved = given.find(({ lines }) => lines.some((line) => line.startsWith("images-dir")));
      if (moved !== undefined)
        return fail(say`images-dir in ${moved.file}: archives lack CRIU's images`, say`on the node, take that line out of ${moved.file}`);
      const said = given.map(({ file, lines }) => say`${file}: ${lines.join(", ") || "empty"}`);
      if (held !== undefined)
        return ok(say`${joined(said, "; ")}: a checkpoint with --criu-option is in progress (helper pod ${held.owner})`);
      return ok(
        said.length === 0
          ? "no options for CRIU: established TCP connections, file locks and external sockets need --criu-option"
          : joined(said, "; "),
      );
    },
  },
  {
    name: "checkpoint-directory",
    decides: ["checkpoint", "copy"],
    judge: ({ directory }) => {
      if (directory instanceof UserError) return warn(directory.whole, directory.said.fix);
      const { room, archives, bytes } = directory;
      const there = `${counted(archives, "file")}, ${formatBytes(bytes)}`;
      if (room === undefined) return ok(`${there}; ${NO_STAT}`);
      const free = `${formatBytes(room.freeBytes)} and ${room.freeInodes} inodes free`;
      const short = room.freeBytes < LITTLE_ROOM || (room.inodes > 0 && room.freeInodes < FEW_INODES);
      return short ? warn(`${there}; only ${free}`, "kubectl checkpoint prune -A --keep 1") : enough(`${there}; ${free}`, room.freeBytes);
    },
  },
  {
    name: "tmp",
    decides: ["checkpoint"],
    sees: ["disk"],
    judge: ({ tmp, storage, runtime }) => {
      const crio = runtime.startsWith("cri-o://");
      const [place, room] = crio ? ["/var/lib/containers/storage", storage] : ["/tmp", tmp];
      if (room === undefined) return skip(NO_STAT);
      const message = `${formatBytes(room.freeBytes)} free in ${place}, where CRIU's images go first`;
      return room.freeBytes < LITTLE_ROOM ? warn(message, `on the node, free space in ${place}`) : enough(message, room.freeBytes);
    },
  },
  {
    name: "selinux",
    decides: [],
    judge: ({ selinux }) =>
      selinux === "enforcing"
        ? ok("enforcing; if a dump fails with Permission denied, on the node: ausearch -m avc -ts recent")
        : ok(selinux === "none" ? "not in use" : selinux),
  },
];

function restart(runtime: string): Phrase {
  return runtime.startsWith("cri-o://") ? command`systemctl restart crio` : command`systemctl restart containerd`;
}

/** What keeps crun from checkpointing. */
function crunLacks({ features }: ProgramVersion, libcriu: readonly string[]): { readonly what: string; readonly fix: string } | undefined {
  if (features.length > 0 && !features.includes("+CRIU"))
    return { what: "crun was built without CRIU, and does not checkpoint", fix: "on the node: a crun whose crun --version lists +CRIU" };
  if (libcriu.length === 0)
    return {
      what: "crun finds no libcriu.so.2, and does not checkpoint",
      fix: "on the node: apt install libcriu2 (Fedora: dnf install criu-libs)",
    };
  return undefined;
}

/** For a node that --deep did not reach. */
export function deepUnseen(error: UserError): Verdict {
  return fail(error.whole, error.said.fix);
}
