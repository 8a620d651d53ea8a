import type { Archive } from "../../../archive/archive.ts";
import { engineOf } from "../../../archive/engines/engine.ts";
import type { CheckpointInfo } from "../../../archive/engines/info.ts";
import { unknownImages } from "../../../criu/check.ts";
import type { FileTable } from "../../../criu/files/table.ts";
import { ghostFiles } from "../../../criu/ghosts.ts";
import { origin, type Origin } from "../../../criu/inventory.ts";
import { allowance, MAX_ANSWER_ITEMS } from "../../../criu/limits.ts";
import { commonsOf, type Commons } from "../../../criu/commons.ts";
import { mounts } from "../../../criu/mounts.ts";
import { pageSize } from "../../../criu/pagesize.ts";
import { attempt } from "../../../criu/problems.ts";
import { noSuchProcess, processes, type Process } from "../../../criu/processes.ts";
import { statistics } from "../../../criu/statistics.ts";
import { memorySize } from "../../../criu/totals.ts";
import { processTree, type TreeNode } from "../../../criu/tree.ts";
import { API_VERSION } from "../../../model/documents.ts";
import type { UserError } from "../../../model/error.ts";
import type { DeletedFileItem, Inspection, ProcessItem } from "../../../model/inspection.ts";
import { connections } from "./connections.ts";
import { octal, processItem, type Section, type Setting } from "./process.ts";

export interface InspectionRequest {
  readonly sections: ReadonlySet<Section>;
  /** Of the one process that is asked for. */
  readonly pid: number | undefined;
}

/** An inspection, with what could not be read of the archive. */
export interface Inspected {
  readonly inspection: Inspection;
  /** What its processes share, for whoever looks further. */
  readonly commons: Commons;
  readonly table: FileTable;
  readonly problems: readonly UserError[];
}

/** What an archive tells of its processes. Throws a UserError where it has no process tree, or not the process that is asked for. */
export async function inspectArchive(archive: Archive, { sections, pid }: InspectionRequest): Promise<Inspected> {
  const problems: UserError[] = [];
  const tell = (problem: UserError): void => {
    if (!problems.some(({ message }) => message === problem.message)) problems.push(problem);
  };
  const attempted = async <T>(read: () => Promise<T>): Promise<T | undefined> => await attempt(tell, read);
  const spend = allowance(MAX_ANSWER_ITEMS);
  const wants = (section: Section): boolean => sections.has(section);
  const info = await attempted(async () => await engineOf(archive));
  const all = await processes(archive, spend, tell);
  const chosen = pid === undefined ? all : all.filter((process) => process.pid === pid);
  if (pid !== undefined && chosen.length === 0) throw noSuchProcess(pid, all);
  const commons = commonsOf(archive);
  const table: FileTable = (await attempted(commons.files)) ?? { files: new Map(), remaps: new Map() };
  const opened =
    wants("files") || wants("sockets") ? await attempted(async () => await connections(archive, all, table, spend, tell)) : undefined;
  const setting: Setting = {
    archive,
    commons,
    table,
    pageSize: await attempted(async () => await pageSize(archive)),
    connections: opened,
    wants,
    spend,
    tell,
  };
  const items = new Map<Process, Omit<ProcessItem, "children">>();
  for (const process of chosen) items.set(process, await processItem(process, setting));
  const made = await attempted(async () => await origin(archive));
  const unknown = await unknownImages(archive);
  const inspection: Inspection = {
    apiVersion: API_VERSION,
    kind: "Inspection",
    ...containerOf(info, made),
    criu: {
      version: made?.version,
      kernel: made?.kernel,
      imageVersion: made?.imageVersion,
      runID: made?.runId,
      lsm: made?.lsm ?? "unknown",
      plugins: made?.plugins ?? [],
      architecture: chosen.flatMap(({ threads }) => threads).at(0)?.architecture,
      pageSize: setting.pageSize,
    },
    stats: await attempted(async () => await statistics(archive)),
    memoryBytes: memorySize(archive),
    processes: processTree(chosen).map((node) => nested(node, items)),
    ...(wants("mounts") ? { mounts: (await attempted(async () => await mounts(archive))) ?? [] } : {}),
    ...(opened !== undefined && wants("files") && pid === undefined
      ? { deletedFiles: await attempted(async () => await deletedFiles()) }
      : {}),
    ...(unknown.length > 0 ? { unknownImages: unknown } : {}),
    problems: problems.map(({ message }) => message),
  };
  return { inspection, commons, table, problems };

  async function deletedFiles(): Promise<DeletedFileItem[]> {
    const ghosts = await ghostFiles(archive, table);
    return ghosts.map(({ path, size, mode, uid, gid, fileIds }) => ({
      path,
      bytes: size,
      mode: octal(mode),
      uid,
      gid,
      openedBy: fileIds.flatMap((id) => opened?.holders.get(id) ?? []),
    }));
  }
}

function nested({ process, children }: TreeNode<Process>, items: ReadonlyMap<Process, Omit<ProcessItem, "children">>): ProcessItem {
  const item = items.get(process);
  if (item === undefined) throw new Error(`process ${process.pid} was not looked at`);
  return { ...item, children: children.map((child) => nested(child, items)) };
}

function containerOf(info: CheckpointInfo | undefined, made: Origin | undefined) {
  const { container, containerID, image, imageID, createdAt, startedAt, checkpointedAt, pod, namespace, podUID, engine, runtime } =
    info ?? {};
  const times = { createdAt, startedAt, checkpointedAt };
  // As Kubernetes writes it; Podman's have no scheme.
  const qualified = containerID === undefined || engine === undefined || engine === "podman" ? containerID : `${engine}://${containerID}`;
  return { container, containerID: qualified, image, imageID, hostname: made?.hostname, ...times, pod, namespace, podUID, engine, runtime };
}
