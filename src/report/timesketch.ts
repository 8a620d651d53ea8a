import type { Report } from "../model/findings.ts";

/**
 * The timeline and findings as lines of JSON, as Timesketch takes them (https://timesketch.org/guides/user/import-from-json-csv/): message, datetime (ISO 8601),
 * timestamp_desc, and what else is known. Findings have the time of the checkpoint.
 */
export function* timesketchLines({ container, evidence, findings, timeline }: Report): Generator<string> {
  const common = {
    data_type: "kubernetes:checkpoint",
    pod: container.pod,
    namespace: container.namespace,
    container: container.name,
    container_id: container.containerID,
    archive: evidence.path,
    archive_sha256: evidence.sha256,
  };
  for (const { time, what, message, path } of timeline) yield line(time, what, message, { ...common, filename: path });
  if (container.checkpointedAt === undefined) return;
  for (const { id, severity, title, detail, pid, path } of findings)
    yield line(container.checkpointedAt, "finding", `${id}: ${title}`, { ...common, severity, reason: detail, pid, filename: path });
}

function line(time: string, what: string, message: string, more: object): string {
  const text = JSON.stringify({
    message,
    datetime: time.replace(/Z$/, "+00:00"),
    timestamp: Date.parse(time) * 1000,
    timestamp_desc: what,
    ...more,
  });
  // What a terminal obeys, or a reader of lines takes for an end.
  return `${text.replaceAll(/[\u007f-\u009f\u2028\u2029\p{Cf}]/gu, unicode)}\n`;
}

function unicode(character: string): string {
  return character
    .split("")
    .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`)
    .join("");
}
