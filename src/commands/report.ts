import { reportArchive, type Reported, type RuleScan } from "../flows/examine/report/report.ts";
import { UserError, usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";
import { counted, formatBytes } from "../model/units.ts";
import { headView, treeView } from "./inspect/page.ts";
import { evidenceView, findingsView, findingView } from "./report/screen.ts";
import { damages, fileWord, openCheckpoint, orOffered, PREVIOUS, volumesBeside } from "./shared/archives.ts";
import { BASE_IMAGE, COMMON, output, RULES } from "./shared/common.ts";
import { choice, on, text } from "./shared/flags.ts";
import { noted, PULL, pulling, registrySettings, type ReadingSettings } from "./shared/registry.ts";
import { defineVerb, type Call } from "./shared/verb.ts";

export interface ReportRequest {
  readonly file: string;
  /** The archive of the checkpoint before. */
  readonly previous: string | undefined;
  readonly registry: ReadingSettings;
  readonly rules: readonly string[];
  /** Of the image that the container was made from: "" is the one that the archive names. */
  readonly base: string | undefined;
  readonly showSecrets: boolean;
  /** "html" and "timesketch" are written to a file, Timesketch's lines also to stdout. */
  readonly form: "screen" | "document" | "html" | "timesketch";
  readonly to: string | undefined;
}

/** Rows of the process tree that are shown. */
const MOST_ROWS = 12;
/** Places with secrets that are shown. */
const MOST_SECRETS = 6;

export const verb = defineVerb({
  name: "report",
  summary: "Report what an investigator should see first in an archive",
  usage: [
    "report FILE [--rules RULES]... [--base-image[=REFERENCE]] [--show-secrets] [--to FILE.html] [--format html|timesketch] [options]",
  ],
  description: `Report what an investigator should see first in an archive on this machine: programs that are not the image's, false names, shells with
a connection, listeners that the pod does not declare, files that keep somebody in, memory that may be executed, secrets, capabilities. Each
finding has an identifier, a severity, its reason and the command that shows more.

"high" is what no ordinary container has, "medium" what few have, "note" what one wants to know of any. No finding proves an attack, and none
proves that there was none. Secrets are masked in all forms, by their names and by known forms, unless --show-secrets is given: others may
remain.

--base-image reads which files the image has: each changed file is "added" or "changed" then, and programs and libraries that are not the
image's are found by their build IDs.

--to FILE.html writes one page that needs nothing else, mode 0600; --format timesketch prints the timeline as lines of JSON for Timesketch.

Exit status: 0 whatever is found, 1 if the archive cannot be read, 3 if parts of it cannot be read.`,
  examples: [
    { what: "What should I see first?", command: "kubectl checkpoint report nginx.tar" },
    {
      what: "The same as a page, with processes, sockets, memory, changes and timeline",
      command: "kubectl checkpoint report nginx.tar --to nginx.html",
    },
    {
      what: "In a script: is there anything grave?",
      command: "kubectl checkpoint report nginx.tar -o json | jq -e '.findings[] | select(.severity == \"high\")'",
    },
    { what: "For Timesketch", command: "kubectl checkpoint report nginx.tar --format timesketch --to nginx.jsonl" },
  ],
  flags: {
    rules: RULES,
    "base-image": BASE_IMAGE,
    "show-secrets": on("do not mask passwords, tokens and keys"),
    to: text({ value: "FILE", help: "write the report to a new file (default: FILE.html is a page)" }),
    format: choice(["html", "timesketch"], { help: "form of the file: a page, or the timeline as JSON lines" }),
    previous: PREVIOUS,
    output: output("json", "yaml"),
    ...PULL,
    ...COMMON,
  },
  request(words, flags): ReportRequest {
    const file = fileWord("report", words);
    if (words.length > 1) throw usageError(say`unexpected argument "${words[1] ?? ""}": report takes one archive`);
    const { to, format, previous, output: documents, rules, "base-image": base } = flags;
    if (to === "") throw usageError("--to is empty");
    if (documents !== undefined && (to !== undefined || format !== undefined))
      throw usageError(`--output and ${to === undefined ? "--format" : "--to"} cannot be used together`);
    if (format === "html" && to === undefined) throw usageError("--format html requires --to FILE.html");
    const form = documents !== undefined ? "document" : (format ?? (to === undefined ? "screen" : "html"));
    if (form === "html" && format === undefined && !/\.html?$/i.test(to ?? ""))
      throw usageError(say`cannot tell the form of ${to ?? ""} by its name: use FILE.html, or --format html|timesketch`);
    return { file, previous, registry: registrySettings(flags), rules, base, showSecrets: flags["show-secrets"], form, to };
  },
  async *run({ file: given, previous, registry, rules, base, showSecrets, form, to }, call) {
    const [file = given] = await orOffered([given], call);
    await noted(call, registry, "report", previous === undefined ? [file] : [file, previous]);
    const reading = pulling(call, registry);
    await using archive = await openCheckpoint(file, previous, reading);
    const damage = damages(file, archive);
    await using volumes = await volumesBeside(file, archive.budget, reading, (error) => damage.push(error));
    for (const error of damage) yield { error };
    const request = {
      file,
      hashes: form !== "screen",
      showSecrets,
      volumes,
      signal: call.signal,
      ...(rules.length === 0 ? {} : { rules: await ruleScan(rules, call) }),
      ...(base === undefined ? {} : { base: { image: base, reading } }),
    };
    let failed = damage.length;
    for await (const part of reportArchive(archive, request)) {
      if (part.kind === "problem") {
        failed += 1;
        yield { error: part.error };
      } else if (part.kind === "warning") {
        call.emit({ kind: "warning", text: part.text });
      } else if (part.kind === "found" && form === "screen") {
        for (const phrase of headView(part.inspection, true)) yield { text: phrase };
        const { rows, ...tree } = treeView(part.inspection.processes);
        yield { text: say`` };
        yield { text: { ...tree, rows: rows.slice(0, MOST_ROWS) } };
        if (rows.length > MOST_ROWS) yield { text: say`and ${rows.length - MOST_ROWS} more processes: kubectl checkpoint inspect ${file}` };
        for (const phrase of findingsView(part.findings, file)) yield { text: phrase };
      } else if (part.kind === "done") {
        const exitCode = failed === 0 ? 0 : 3;
        if (form === "document") {
          const { report } = part.reported;
          return {
            document: { ...report, complete: failed === 0, problems: [...damage.map(({ message }) => message), ...report.problems] },
            exitCode,
          };
        }
        if (form === "screen") {
          for (const phrase of part.more.slice(0, MOST_SECRETS).flatMap((finding) => [...findingView(finding)])) yield { text: phrase };
          if (part.more.length > MOST_SECRETS) yield { text: say`and ${part.more.length - MOST_SECRETS} more places with secrets` };
          for (const phrase of evidenceView(part.evidence)) yield { text: phrase };
        }
        if (form === "timesketch" || form === "html") {
          const { report } = part.reported;
          const complete = { ...report, complete: failed === 0, problems: [...damage.map(({ message }) => message), ...report.problems] };
          const text =
            form === "timesketch"
              ? (await import("../report/timesketch.ts")).timesketchLines(complete)
              : await htmlPage({ ...part.reported, report: complete }, showSecrets, call);
          if (to === undefined || to === "-") {
            // A terminal shows lines, and gets no other bytes.
            if (call.terminal) for (const line of text) yield { text: say`${line.trimEnd()}` };
            else yield { bytes: encoded(text) };
          } else {
            const bytes = await writtenTo(to, encoded(text), call.signal);
            yield {
              text: say`${to} written: ${formatBytes(bytes)}, ${counted(report.findings.length, "finding")}. It holds parts of a memory dump: treat it as a secret`,
            };
          }
        }
        return { exitCode };
      }
    }
    throw new UserError({ reason: "NoReport", message: say`${file} could not be reported on` });
  },
});

/** What is loaded for rules is loaded here; they are compiled before anything is read. */
async function ruleScan(paths: readonly string[], { signal }: Call): Promise<RuleScan> {
  const { ruleFiles } = await import("../yara/files.ts");
  const { Rules } = await import("../yara/rules.ts");
  const { ruleHits } = await import("../flows/examine/report/rules.ts");
  const rules = new Rules(await ruleFiles(paths));
  return async (archive, volumes, tell) => {
    using owned = rules;
    return await ruleHits(archive, { rules: owned, signal, tell, volumes });
  };
}

async function htmlPage(reported: Reported, showsSecrets: boolean, { version, now }: Call): Promise<Iterable<string>> {
  const { page } = await import("../report/page.ts");
  return page({ ...reported, showsSecrets, version, now: new Date(now()).toISOString() });
}

/** In pieces of some size: rows are small. */
async function* encoded(texts: Iterable<string>): AsyncGenerator<Buffer> {
  let waiting: string[] = [];
  let length = 0;
  for (const text of texts) {
    waiting.push(text);
    length += text.length;
    if (length < PIECE) continue;
    yield Buffer.from(waiting.join(""));
    [waiting, length] = [[], 0];
  }
  yield Buffer.from(waiting.join(""));
}

const PIECE = 1 << 20;

/** A new file, mode 0600. Answers with its size in bytes. */
async function writtenTo(to: string, pieces: AsyncIterable<Buffer>, signal: AbortSignal): Promise<number> {
  const { openDestination } = await import("../local/destination.ts");
  const { writeNew } = await import("../local/write.ts");
  await using destination = await openDestination(to);
  const { directory, file } = destination;
  if (file === undefined) throw usageError(say`${to} is a directory: --to takes the name of a new file`);
  return await writeNew(directory, file, pieces, signal);
}
