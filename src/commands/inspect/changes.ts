import { isOfRuntime } from "../../flows/examine/changes/runtime.ts";
import type { ChangeItem } from "../../model/inspection.ts";
import { say, type PhraseValue, type Table } from "../../model/phrase.ts";
import { counted, formatBytes } from "../../model/units.ts";
import { heading, type View } from "./view.ts";

/** Changed files, without the directories that are there because of what lies in them, and what the runtime makes in every container. */
export function* changesView(changes: readonly ChangeItem[] = []): Generator<View> {
  yield heading(say`Changed files`);
  const parents = new Set(changes.map(({ path }) => path.slice(0, path.lastIndexOf("/"))));
  const shown = changes.filter((item) => (item.type !== "directory" || !parents.has(item.path)) && !isOfRuntime(item));
  if (shown.length === 0) yield say`none`;
  else yield changesTable(shown);
  const left = changes.length - shown.length;
  if (left > 0) yield say`${counted(left, "other")}: their directories, and what the runtime makes in every container (-o json lists all)`;
}

function changesTable(changes: readonly ChangeItem[]): Table {
  return {
    columns: ["CHANGE", "TYPE", "MODE", "OWNER", "SIZE", "MODIFIED", "SHA-256", "PATH"],
    rows: changes.map((item): PhraseValue[] => [
      item.change,
      typeText(item),
      item.mode ?? "-",
      item.uid === undefined ? "-" : `${item.uid}:${item.gid}`,
      item.type === "file" ? formatBytes(item.bytes ?? 0) : "-",
      item.modifiedAt?.replace(/\.\d+Z$/, "Z") ?? "-",
      item.sha256 ?? "-",
      item.target === undefined ? item.path : say`${item.path} -> ${item.target}`,
    ]),
    narrow: { without: ["OWNER", "MODE", "MODIFIED"], shorten: [{ "SHA-256": "end" }, { TYPE: "end", PATH: "middle" }] },
  };
}

/** "ELF, executable, setuid" */
function typeText({ type, special, content, executable, setuid, setgid }: ChangeItem): string {
  const kind = type === "unknown" ? "-" : (content ?? special ?? type);
  return [kind, executable ? "executable" : "", setuid ? "setuid" : "", setgid ? "setgid" : ""].filter((part) => part !== "").join(", ");
}

/** A row as diff prints it, with owner, time and hash where that is there. */
export function changeWords(item: ChangeItem): (string | number)[] {
  const { path, change, type, bytes = 0, mode = "", uid, gid, modifiedAt, sha256, target } = item;
  const kind = change === "deleted" ? "deleted" : type;
  const size = type === "file" ? formatBytes(bytes) : "";
  const more = sha256 === undefined || uid === undefined ? [] : [typeText(item), `${uid}:${gid}`, modifiedAt ?? "", sha256];
  return [path, kind, size, mode, target === undefined ? "" : `to ${target}`, ...more];
}
