import { openArchive } from "../archive/open.ts";
import { inspectArchive, type InspectionRequest } from "../flows/examine/inspect/inspection.ts";
import type { Section } from "../flows/examine/inspect/process.ts";
import { usageError } from "../model/error.ts";
import type { Flags } from "../model/flags.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { parseCount } from "../model/units.ts";
import type { Call } from "./command.ts";
import { damages } from "./damages.ts";
import { inspectionViews } from "./inspect/views.ts";

export interface InspectRequest extends InspectionRequest {
  readonly file: string;
}

const SECTIONS: readonly Section[] = ["ps", "env", "files", "sockets", "mounts", "memory", "stats"];
/** The process tree shows how much memory each has. */
const ALWAYS: Section = "totals";

/** Throws a usage error. */
export function inspectRequest(words: readonly string[], flags: Flags): InspectRequest {
  const [file, ...more] = words;
  if (file === undefined || file === "") throw usageError("which archive?", "kubectl checkpoint inspect FILE");
  if (more.length > 0) throw usageError(`one archive at a time, not ${words.length}`, "kubectl checkpoint show takes several");
  const pid = flags.text("pid");
  return { file, sections: sections(flags), pid: pid === undefined ? undefined : parseCount(pid, "--pid") };
}

/** Documents have everything but the environment where nothing is chosen, the text for people only the process tree. */
function sections(flags: Flags): ReadonlySet<Section> {
  if (flags.on("all")) return new Set([ALWAYS, ...SECTIONS]);
  const chosen = SECTIONS.filter((section) => flags.on(section));
  if (chosen.length > 0 || flags.text("output") === undefined) return new Set([ALWAYS, ...chosen]);
  return new Set([ALWAYS, ...SECTIONS.filter((section) => section !== "env")]);
}

export async function* run(call: Call): AsyncGenerator<Piece, Outcome> {
  const { file, ...request } = inspectRequest(call.words, call.flags);
  await using archive = await openArchive(file, call);
  const damage = damages(file, archive);
  for (const error of damage) yield { error };
  const { inspection, problems } = await inspectArchive(archive, request);
  for (const text of inspectionViews(inspection, request)) yield { text };
  for (const error of problems) yield { error };
  const all = [...damage, ...problems];
  return { document: { ...inspection, problems: all.map(({ message }) => message) }, exitCode: all.length === 0 ? 0 : 3 };
}
