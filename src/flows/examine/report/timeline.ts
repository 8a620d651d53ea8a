import type { Archive } from "../../../archive/archive.ts";
import { iso } from "../../../archive/engines/files.ts";
import type { TimelineItem } from "../../../model/findings.ts";
import type { ChangeItem, Inspection } from "../../../model/inspection.ts";
import { list, number, object, string, type Json } from "../../../model/json.ts";
import { isOfRuntime } from "../changes/runtime.ts";
import type { RecordOf } from "./record.ts";

const MOST_LINES = 10_000;

/** All that has a time, in order: the container's life, the checkpoint, changed files, events, the log, the copy. */
export function timeline(
  archive: Archive,
  inspection: Inspection,
  changes: readonly ChangeItem[],
  found: RecordOf | undefined,
): TimelineItem[] {
  const { container = "the container", createdAt, startedAt, checkpointedAt } = inspection;
  const items: (TimelineItem | undefined)[] = [
    at(createdAt, "container created", `${container} was created`),
    at(startedAt, "container started", `${container} was started`),
    ...checkpointItems(archive, inspection, found?.item ?? {}),
    at(checkpointedAt, "checkpoint written", `the engine wrote the archive of ${container}`),
    ...fileItems(changes),
    ...(found === undefined ? [] : [...recordItems(found)]),
  ];
  return items.filter((item) => item !== undefined).sort((a, b) => (a.time < b.time ? -1 : a.time > b.time ? 1 : 0));
}

function at(time: unknown, what: string, message: string, path?: string): TimelineItem | undefined {
  if (typeof time !== "string") return undefined;
  // As far as milliseconds: nanoseconds of logs are cut.
  const written = iso(Date.parse(time));
  return written === undefined ? undefined : { time: written, what, message, ...(path === undefined ? {} : { path }) };
}

/** CRIU writes pstree.img when all is frozen, stats-dump when it is done. */
function* checkpointItems({ members }: Archive, { stats }: Inspection, item: Json): Generator<TimelineItem | undefined> {
  yield at(item["startedAt"], "checkpoint requested", "the kubelet was asked for a checkpoint");
  const frozen = members.get("checkpoint/pstree.img");
  const done = members.get("stats-dump");
  const seconds = stats === undefined ? "" : `, for ${stats.frozenSeconds} s`;
  if (frozen !== undefined) yield at(iso(frozen.modifiedAt * 1000), "container frozen", `its processes were frozen by then${seconds}`);
  if (done !== undefined)
    yield at(iso(done.modifiedAt * 1000), "container resumed", "CRIU was done: its processes continue, or were ended");
  yield at(item["finishedAt"], "checkpoint answered", "the kubelet answered");
}

function* fileItems(changes: readonly ChangeItem[]): Generator<TimelineItem | undefined> {
  for (const item of changes) {
    const { path, modifiedAt, change, type, content, sha256 } = item;
    if (type === "directory" || isOfRuntime(item)) continue;
    yield at(
      modifiedAt,
      "content modification",
      `${path} (${content ?? type}) ${change}${sha256 === undefined ? "" : `, SHA-256 ${sha256}`}`,
      path,
    );
  }
}

function* recordItems({ item, record }: RecordOf): Generator<TimelineItem | undefined> {
  for (const { of, computedAt, computedOn, value } of list(record["hashes"]).map(object))
    yield at(
      computedAt,
      "transfer",
      `hashed on ${string(computedOn) === "here" ? "this machine" : "the node"}: ${string(of)}, SHA-256 ${string(value)}`,
    );
  yield at(record["writtenAt"], "record written", `the record of ${string(object(item["copy"])["path"])} was written`);
  for (const event of list(object(record["events"])["items"]).map(object)) {
    const count = number(event["count"]) ?? 1;
    yield at(
      event["lastTimestamp"] ?? event["eventTime"] ?? event["firstTimestamp"],
      "Kubernetes event",
      `${string(event["reason"])}: ${string(event["message"])}${count > 1 ? ` (${count} times)` : ""}`,
    );
  }
  for (const line of list(object(record["log"])["lines"]).slice(-MOST_LINES)) {
    const [, time, text = ""] = /^(\d{4}-\d\d-\d\dT\S+) ?(.*)$/s.exec(string(line)) ?? [];
    yield at(time, "log line", text);
  }
}
