import type { OpenArchive } from "../../archive/archive.ts";
import { coreProcesses, writeCore, type CoreSetting, type ExtractedCore } from "../../flows/examine/extract/core.ts";
import { openDestination } from "../../local/destination.ts";
import { API_VERSION } from "../../model/documents.ts";
import { UserError } from "../../model/error.ts";
import { command, joined, plain, say, type Phrase } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { formatBytes } from "../../model/units.ts";
import type { Call } from "../shared/verb.ts";

/** What the cores of several processes are written into, where DEST does not say. */
const DIRECTORY = "cores";

/** Cores of one process, or of all that live into a new directory. */
export async function* extractCores(
  archive: OpenArchive,
  pid: number | undefined,
  to: string | undefined,
  problems: readonly UserError[],
  { signal }: Call,
): AsyncGenerator<Piece, Outcome> {
  for (const error of problems) yield { error };
  const told: UserError[] = [];
  const tell = (problem: UserError): void => {
    if (!told.some(({ message }) => message === problem.message)) told.push(problem);
  };
  const processes = await coreProcesses(archive, pid, tell);
  await using destination = await openDestination(to);
  const setting: CoreSetting = { archive, signal, tell, filePages: async () => await Promise.resolve(undefined) };
  const items: ExtractedCore[] = [];
  let failed = 0;
  const one = pid === undefined ? undefined : destination.directory;
  const directory = one ?? (await destination.directory.makeDirectory(destination.nameFor(DIRECTORY)));
  try {
    for (const process of processes) {
      try {
        const name = `core.${process.pid}`;
        const item = await writeCore(process, directory, one === undefined ? name : destination.nameFor(name), setting);
        items.push(item);
        yield* itemPieces(item);
      } catch (error) {
        if (!(error instanceof UserError) || pid !== undefined || error.reason === "TooMuchToWrite") throw error;
        failed += 1;
        yield { error };
      }
    }
  } finally {
    if (one === undefined) await directory[Symbol.asyncDispose]();
  }
  for (const error of told) yield { error };
  failed += problems.length + told.length;
  const document = { apiVersion: API_VERSION, kind: "ExtractionList", items: items.map(documentOf) };
  if (failed > 0 && items.length === 0) return { document, exitCode: 1 };
  return { document, exitCode: failed > 0 ? 3 : 0 };
}

function* itemPieces(item: ExtractedCore): Generator<Piece> {
  const { pid, comm, path, bytes } = item;
  yield { text: say`core of process ${pid} (${comm}) written to ${path} (${formatBytes(bytes)})`, name: path };
  for (const [, line] of commandLines(item)) yield { text: say`  ${line}` };
}

function documentOf(item: ExtractedCore): object {
  const { pid, comm, path, bytes, threadNames, architecture } = item;
  const commands = Object.fromEntries(commandLines(item).map(([tool, line]) => [tool, plain(line)]));
  return { from: `process ${pid}`, path, bytes, pid, comm, architecture, threadNames, commands };
}

/** Stands for the root file system of the image, which debuggers need. */
const ROOT = say`ROOT`;

/** How debuggers are started with it. */
function commandLines({ path, threadNames, executable, architecture, isPython }: ExtractedCore): [tool: string, line: Phrase][] {
  const program = joined([ROOT, say`${command`${executable ?? "/PROGRAM"}`}`], "");
  const gdb = architecture === "aarch64" ? say`gdb-multiarch` : say`gdb`;
  return [
    ["gdb", say`${gdb} -iex 'set sysroot ${ROOT}' -x ${command`${threadNames}`} ${program} ${command`${path}`}`],
    ...(isPython ? ([["py-spy", command`py-spy dump --core ${path}`]] as [string, Phrase][]) : []),
  ];
}
