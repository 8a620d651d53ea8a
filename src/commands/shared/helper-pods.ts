import { existsSync } from "node:fs";
import { platform } from "node:os";
import { HELPER_IMAGE } from "../../helper/image.ts";
import { archiveName } from "../../helper/names.ts";
import { DEFAULT_CHECKPOINT_DIR, DEFAULT_IMAGE, type HelperSettings } from "../../helper/manifest.ts";
import { usageError } from "../../model/error.ts";
import { nodeArchive, type NodeArchive } from "../../model/location.ts";
import { command, say, type Phrase } from "../../model/phrase.ts";
import { group, parsed, text, type Values } from "./flags.ts";

/** For verbs that use a helper pod. */
export const HELPER = group("Helper pod", {
  "helper-image": text({
    value: "IMAGE",
    help: "image with sh, dd, cat, wc and sha256sum; faster with httpd and zstd; helper: that of --sandbox, which has them (default: $KUBECTL_CHECKPOINT_HELPER_IMAGE, or busybox by digest)",
  }),
  "helper-namespace": text({
    value: "NAME",
    help: "namespace of the helper pod (default: $KUBECTL_CHECKPOINT_HELPER_NAMESPACE, or kubectl-checkpoint if it exists, or kube-system)",
  }),
  "helper-pull-secret": text({
    value: "NAME",
    help: "image pull secret in that namespace (default: $KUBECTL_CHECKPOINT_HELPER_PULL_SECRET)",
  }),
  "checkpoint-dir": parsed(absolutePath, {
    value: "DIR",
    help: "checkpoint directory of the kubelet on the node (default: /var/lib/kubelet/checkpoints)",
  }),
});

/** How helper pods are made: flags over environment over defaults. */
export function helperSettings(flags: Values<typeof HELPER>, env: NodeJS.ProcessEnv): HelperSettings {
  const setting = (flag: string | undefined, variable: string): string | undefined => flag ?? (env[variable] || undefined);
  return {
    image: imageNamed(setting(flags["helper-image"], "KUBECTL_CHECKPOINT_HELPER_IMAGE")) ?? DEFAULT_IMAGE,
    namespace: setting(flags["helper-namespace"], "KUBECTL_CHECKPOINT_HELPER_NAMESPACE"),
    pullSecret: setting(flags["helper-pull-secret"], "KUBECTL_CHECKPOINT_HELPER_PULL_SECRET"),
    checkpointDir: flags["checkpoint-dir"] ?? DEFAULT_CHECKPOINT_DIR,
  };
}

/** The words that make them so again. */
export function helperWords({ image, namespace, pullSecret, checkpointDir }: HelperSettings): string[] {
  return [
    image === DEFAULT_IMAGE ? [] : ["--helper-image", image],
    namespace === undefined ? [] : ["--helper-namespace", namespace],
    pullSecret === undefined ? [] : ["--helper-pull-secret", pullSecret],
    checkpointDir === DEFAULT_CHECKPOINT_DIR ? [] : ["--checkpoint-dir", checkpointDir],
  ].flat();
}

/** "helper" is the helper image of this version, which sandboxes have by default. */
export function imageNamed(image: string | undefined): string | undefined {
  return image === "helper" ? HELPER_IMAGE : image;
}

function absolutePath(path: string, name: string): string {
  if (!path.startsWith("/") || path.split("/").includes(".."))
    throw usageError(say`invalid value "${path}" for ${name}: use an absolute path`);
  return path.replace(/(.)\/+$/, "$1");
}

/** NODE is a node's name: never a path with a slash before its colon. */
const NODE_ARCHIVE = /^([a-z0-9][-a-z0-9.]*):(.+)$/s;
/** On Windows: c:\temp\, c:/temp. */
const DRIVE = /^[a-z]:[\\/]/i;

/** Whether a word is NODE:ARCHIVE, and not a DEST. */
export function isNodeArchive(word: string, system: NodeJS.Platform = platform()): boolean {
  return NODE_ARCHIVE.test(word) && !(system === "win32" && DRIVE.test(word));
}

/** What a word that is no NODE:ARCHIVE may be: a file of this machine, or a pod. */
function meantBy(word: string): Phrase | undefined {
  if (existsSync(word)) return say`it is a file on this machine: ${command`kubectl checkpoint show ${word}`}`;
  const [, node, file] = /^([a-z0-9][-a-z0-9.]*)\/([^/]+\.tar)$/.exec(word) ?? [];
  if (node !== undefined && file !== undefined) return say`if the archive ${file} on node ${node} was meant: ${`${node}:${file}`}`;
  if (!/^([a-z]+\/)?[a-z0-9][-a-z0-9.]*$/.test(word)) return undefined;
  return say`if a pod was meant, its archives are: ${command`kubectl checkpoint ls ${word}`}`;
}

/** NODE:ARCHIVE as the command line has it. Throws a usage error. */
export function parseNodeArchive(word: string, checkpointDir: string): NodeArchive {
  const [, node, path] = NODE_ARCHIVE.exec(word) ?? [];
  if (node === undefined || path === undefined)
    throw usageError(say`invalid archive "${word}": use NODE:ARCHIVE, as kubectl checkpoint ls -o name prints it`, meantBy(word));
  return nodeArchive(node, `${checkpointDir}/${archiveName(path, checkpointDir)}`);
}
