import type { CopyAgain } from "../../flows/collect/copy/copy.ts";
import type { CopyOptions } from "../../flows/collect/copy/prepare.ts";
import type { EvidenceOptions } from "../../flows/evidence/open.ts";
import type { ConnectionOptions } from "../../cluster/kubeconfig/options.ts";
import type { HelperSettings } from "../../helper/manifest.ts";
import type { Copy } from "../../model/documents.ts";
import { location, type NodeArchive } from "../../model/location.ts";
import { command, say, type Phrase } from "../../model/phrase.ts";
import { formatBytes, formatSeconds } from "../../model/units.ts";
import { clusterWords } from "./cluster.ts";
import { choice } from "./flags.ts";
import { helperWords } from "./helper-pods.ts";

/** How an archive is compressed between its node and here. */
export const CODEC = choice(["auto", "zstd", "lzop", "gzip", "none"], {
  value: "CODEC",
  help: "compress on the way: auto, zstd, lzop, gzip or none (default: auto, the fastest)",
});

/** What a finished copy says: where it is, how fast it came, and its hash. */
export function copyText(archive: NodeArchive, { path, bundle, bytes, seconds, sha256 }: Copy, removed: boolean | undefined): Phrase {
  const rate = seconds > 0 ? say` in ${formatSeconds(seconds)} (${formatBytes(Math.round(bytes / seconds))}/s)` : say``;
  const gone = removed === true ? say`, removed from ${archive.node}` : say``;
  return say`${location(archive)} copied: ${formatBytes(bytes)}${rate}, SHA-256 ${sha256}${gone}\n${path ?? ""}${bundle === undefined ? say`` : say`\n${bundle}`}`;
}

/** What is asked for of copies. */
interface CopyFlags extends Pick<CopyOptions, "remove" | "force" | "codec"> {
  readonly evidence: EvidenceOptions | undefined;
  readonly settings: HelperSettings;
  readonly cluster: ConnectionOptions;
}

/** The command that copies these archives as they were to be copied. */
export function copyCommand(
  archives: readonly NodeArchive[],
  destination: string,
  { remove, force, codec, evidence, settings, cluster }: CopyFlags,
): Phrase {
  const { encryptTo = [], signKey, timestamp, custody } = evidence ?? {};
  const flags = [
    remove ? ["--remove"] : [],
    force ? ["--force"] : [],
    codec === "auto" ? [] : ["--compress", codec],
    ...encryptTo.map((recipient) => ["--encrypt-to", recipient]),
    signKey === undefined ? [] : ["--sign-key", signKey],
    timestamp === undefined ? [] : ["--timestamp", timestamp.href],
    custody === undefined ? [] : ["--custody", custody],
    helperWords(settings),
    clusterWords(cluster),
  ].flat();
  return command`kubectl checkpoint cp ${[...archives.map(location), destination, ...flags]}`;
}

/** The same for one archive: see CopyAgain. */
export function againBy(flags: CopyFlags): CopyAgain {
  return (archive, path, replace = false) => copyCommand([archive], path, replace ? { ...flags, force: true } : flags);
}
