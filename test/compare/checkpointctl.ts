// node test/compare/checkpointctl.ts: all that checkpointctl reports of every real archive against what this plugin
// reports; prints how many values agree, field by field, and every one that does not. CHECKPOINTCTL names another build.
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { verb as inspect } from "../../src/commands/inspect.ts";
import { verb as show } from "../../src/commands/show.ts";
import type { FileItem, Inspection, ProcessItem, SocketItem } from "../../src/model/inspection.ts";
import { list, object, string, type Json } from "../../src/model/json.ts";
import { checkpointctl } from "../bench/offline/checkpointctl.ts";
import { runVerb } from "../commands/running.ts";

const ARCHIVES = "test/data/archives";

interface Difference {
  readonly archive: string;
  readonly field: string;
  readonly theirs: unknown;
  readonly ours: unknown;
}

const agreed = new Map<string, number>();
const differences: Difference[] = [];

for (const archive of readdirSync(ARCHIVES).filter((name) => /\.tar(\.gz|\.zst)?$/.test(name))) await compareArchive(archive);
for (const [field, count] of agreed) process.stdout.write(`${field}: ${count} agree\n`);
for (const { archive, field, theirs, ours } of differences) {
  process.stdout.write(`DIFFERS ${archive}: ${field}: theirs ${JSON.stringify(theirs)}, ours ${JSON.stringify(ours)}\n`);
}

async function compareArchive(archive: string): Promise<void> {
  const path = join(ARCHIVES, archive);
  const theirs = checkpointctlInspects(path);
  if (typeof theirs === "string") {
    differences.push({ archive, field: "the whole archive", theirs, ours: "readable" });
    return;
  }
  const summary = object(list(object((await runVerb(show, [path])).document)["items"])[0]);
  const inspection = (await runVerb(inspect, [path], { all: true })).document as Inspection;
  const same = (field: string, their: unknown, our: unknown): void => {
    if (their === undefined) return;
    if (JSON.stringify(their) === JSON.stringify(our)) agreed.set(field, (agreed.get(field) ?? 0) + 1);
    else differences.push({ archive, field, theirs: their, ours: our });
  };
  compareSummary(theirs, summary, inspection, same);
  const processes = allProcesses(inspection.processes);
  compareTree(object(theirs["process_tree"]), processes, same);
  for (const one of list(theirs["file_descriptors"]).map(object)) {
    const process = processes.get(Number(one["pid"]));
    for (const file of list(one["open_files"]).map(object)) compareFile(file, process, same);
  }
  for (const one of list(theirs["sockets"]).map(object)) compareSockets(list(one["open_sockets"]), processes.get(Number(one["pid"])), same);
  const mounted = new Set(inspection.mounts?.map(({ path: mount }) => mount));
  for (const mount of list(theirs["mounts"]).map(object))
    same("mount", mount["destination"], mounted.has(string(mount["destination"])) ? mount["destination"] : undefined);
}

/** What it reports, or why it does not. */
function checkpointctlInspects(path: string): Json | string {
  const { status, stdout, stderr } = spawnSync(checkpointctl(), ["inspect", "--all", "--format", "json", path], { encoding: "utf8" });
  return status === 0 ? object(list(JSON.parse(stdout))[0]) : stderr.trim();
}

type Same = (field: string, theirs: unknown, ours: unknown) => void;

function compareSummary(theirs: Json, ours: Json, { stats }: Inspection, same: Same): void {
  const seconds = (time: unknown): unknown => (typeof time === "string" ? time.replace(/\.\d+Z$/, "Z") : time);
  same("container_name", theirs["container_name"], ours["container"]);
  same("image", theirs["image"], ours["image"]);
  same("id", theirs["id"], string(ours["containerID"]).replace(/^.*:\/\//, ""));
  same("runtime", theirs["runtime"], ours["runtime"]);
  same("created", seconds(theirs["created"]), seconds(ours["createdAt"]));
  same("checkpointed", theirs["checkpointed"], seconds(ours["checkpointedAt"]));
  same("engine", string(theirs["engine"]).toLowerCase(), ours["engine"]);
  same("ip", theirs["ip"], list(ours["ips"])[0]);
  same("mac", theirs["mac"], list(ours["macs"])[0]);
  const sizes = object(theirs["checkpoint_size"]);
  same("checkpoint_size.total_size", sizes["total_size"], ours["imagesBytes"]);
  same("checkpoint_size.memory_pages_size", sizes["memory_pages_size"], ours["memoryBytes"]);
  same("checkpoint_size.root_fs_diff_size", sizes["root_fs_diff_size"], ours["rootfsDiffBytes"]);
  const counted = object(theirs["statistics"]);
  const micros = (value: number | undefined): number | undefined => (value === undefined ? undefined : Math.round(value * 1e6));
  same("statistics.freezing_time", counted["freezing_time"], micros(stats?.freezingSeconds));
  same("statistics.frozen_time", counted["frozen_time"], micros(stats?.frozenSeconds));
  same("statistics.memdump_time", counted["memdump_time"], micros(stats?.memoryDumpSeconds));
  same("statistics.memwrite_time", counted["memwrite_time"], micros(stats?.memoryWriteSeconds));
  same("statistics.pages_scanned", counted["pages_scanned"], stats?.pagesScanned);
  same("statistics.pages_written", counted["pages_written"], stats?.pagesWritten);
  const metadata = object(theirs["metadata"]);
  same("metadata.pod_name", metadata["pod_name"], ours["pod"]);
  same("metadata.kubernetes_namespace", metadata["kubernetes_namespace"], ours["namespace"]);
  for (const [key, value] of Object.entries(object(metadata["annotations"])))
    same("metadata.annotations", value, object(ours["annotations"])[key]);
}

function allProcesses(roots: readonly ProcessItem[]): Map<number, ProcessItem> {
  const all = new Map<number, ProcessItem>();
  const add = (process: ProcessItem): void => {
    all.set(process.pid, process);
    for (const child of process.children) add(child);
  };
  for (const root of roots) add(root);
  return all;
}

function compareTree(theirs: Json, processes: ReadonlyMap<number, ProcessItem>, same: Same): void {
  const ours = processes.get(Number(theirs["pid"]));
  same("process.pid", theirs["pid"], ours?.pid);
  same("process.command", theirs["command"], ours?.comm);
  // Theirs ends in a blank for the last argument's end.
  same("process.cmdline", typeof theirs["cmdline"] === "string" ? theirs["cmdline"].trimEnd() : undefined, ours?.args?.join(" ").trimEnd());
  same("process.task_state", theirs["task_state"], { alive: "Alive", zombie: "Dead", stopped: "Stopped" }[ours?.state ?? ""]);
  for (const [name, value] of Object.entries(object(theirs["environment_variables"])))
    same("process.environment", `${name}=${String(value)}`, `${name}=${ours?.env?.find((variable) => variable.name === name)?.value}`);
  for (const child of list(theirs["children"]).map(object)) compareTree(child, processes, same);
}

/** Theirs names regular files, pipes and UNIX sockets, others by their number in CRIU's table. */
function compareFile(theirs: Json, process: ProcessItem | undefined, same: Same): void {
  const [type, fd] = string(theirs["fd"]).split(" ");
  if (type === "cwd") return same("cwd", theirs["path"], process?.cwd);
  if (type === "root") return same("root", theirs["path"], process?.root);
  const ours: FileItem | undefined = process?.files?.find((file) => file.fd === Number(fd));
  same("file.fd", Number(fd), ours?.fd);
  if (type === "REG") same("file.path", theirs["path"], ours?.name);
  else if (type === "PIPE") same("file.pipe", string(theirs["path"]).replace(/^pipe/, "pipe:"), ours?.name);
}

function compareSockets(theirs: readonly unknown[], process: ProcessItem | undefined, same: Same): void {
  const ours: readonly SocketItem[] = process?.sockets ?? [];
  same("sockets of a process", theirs.length, ours.length);
  for (const [index, socket] of theirs.map(object).entries()) {
    const data = object(socket["data"]);
    const our = ours[index];
    same("socket.send_buf", data["send_buf"], units(our?.["sendBufferBytes"]));
    same("socket.recv_buf", data["recv_buf"], units(our?.["receiveBufferBytes"]));
    if (data["src"] === undefined) continue;
    same("socket.state", data["state"], our?.state?.toUpperCase());
    same("socket.src", address(data["src"], data["src_port"]), our?.local);
    same("socket.dst", address(data["dst"], data["dst_port"]), our?.remote);
  }
}

function units(bytes: unknown): string {
  const kib = Number(bytes) / 1024;
  return kib < 1024 ? `${kib.toFixed(1)} KB` : `${(kib / 1024).toFixed(1)} MB`;
}

function address(host: unknown, port: unknown): string {
  const name = string(host);
  return `${name.includes(":") ? `[${name}]` : name}:${typeof port === "number" ? port : 0}`;
}
