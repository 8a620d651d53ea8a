import { UserError } from "../../model/error.ts";
import { list, object, string, type Json } from "../../model/json.ts";
import type { Archive } from "../archive.ts";
import { Budget } from "../budget.ts";
import { readObject } from "../read.ts";
import { common } from "./common.ts";
import { engineFiles, text, texts, type EngineFiles } from "./files.ts";
import type { CheckpointInfo, Engine } from "./info.ts";
import { READERS } from "./readers.ts";

/**
 * What an archive tells of its container, in its engine's own words. Throws a UserError where it holds no checkpoint,
 * and where what the engine wrote cannot be read.
 */
export async function engineOf(archive: Archive): Promise<CheckpointInfo> {
  if (!isCheckpoint(archive)) {
    throw new UserError({
      reason: "NotACheckpoint",
      message: "there is no checkpoint in this archive: neither config.dump nor an image of CRIU is in it",
    });
  }
  const files = await engineFiles(archive);
  const engine = detect(files);
  return (engine === undefined ? common : READERS[engine])(files);
}

/** Whose archive it is, as far as can be told. */
export async function knownEngine(archive: Archive): Promise<Engine | undefined> {
  const read = async (from: Archive, name: string): Promise<Json> => {
    try {
      return await readObject(from, name);
    } catch (error) {
      if (!(error instanceof UserError)) throw error;
      return {};
    }
  };
  return detect(await engineFiles(archive, read));
}

/** What the OCI specification alone tells, where the rest of the archive is not at hand. */
export function infoOfSpec(spec: unknown): CheckpointInfo {
  const archive: Archive = {
    members: new Map(),
    budget: Budget.withoutClock(),
    open: (name) => {
      throw new Error(`${name} was not read`);
    },
  };
  const parsed = object(spec);
  const files = { config: {}, spec: parsed, annotations: texts(parsed["annotations"]), status: {}, networks: {}, archive };
  const engine = detect(files);
  return (engine === undefined ? common : READERS[engine])(files);
}

/** The members that engineOf reads. */
export const ENGINE_FILES: ReadonlySet<string> = new Set(["config.dump", "spec.dump", "status.dump", "network.status"]);

const IMAGE = /^(?:pre-)?checkpoint\/[^/]+\.img$/;

/** Whether a checkpoint, or something of one, is in it. */
export function isCheckpoint({ members }: Pick<Archive, "members">): boolean {
  if (members.has("config.dump") || members.has("checkpoint/inventory.img")) return true;
  for (const name of members.keys()) if (IMAGE.test(name)) return true;
  return false;
}

/** By the mark in the specification; where there is no specification, by what only one of them writes. */
function detect({ annotations, config, archive: { members } }: EngineFiles): Engine | undefined {
  const manager = annotations["io.container.manager"];
  if (manager === "libpod") return "podman";
  if (manager === "cri-o") return "cri-o";
  if (Object.keys(annotations).some((key) => key.startsWith("io.kubernetes.cri."))) return "containerd";
  if (members.has("network.status")) return "podman";
  if (members.has("bind.mounts") || members.has("io.kubernetes.cri-o.LogPath")) return "cri-o";
  return members.has("status.dump") || string(config["runtime"]).startsWith("io.containerd.") ? "containerd" : undefined;
}

/** Where something of the node is mounted in the container: volumes, and what the engine itself mounts. Throws a UserError where the specification cannot be read. */
export async function boundPaths(archive: Archive): Promise<string[]> {
  return list((await readObject(archive, "spec.dump"))["mounts"]).flatMap((mount) => {
    const { type, destination } = object(mount);
    return type === "bind" ? (text(destination) ?? []) : [];
  });
}
