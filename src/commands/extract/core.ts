import { posix } from "node:path";
import type { Reading } from "../../archive/archive.ts";
import { coreProcesses, writeCore, type ExtractedCore } from "../../flows/examine/extract/core.ts";
import { openDestination } from "../../local/destination.ts";
import { API_VERSION } from "../../model/documents.ts";
import { Disposal } from "../../model/disposal.ts";
import { UserError } from "../../model/error.ts";
import { command, plain, say, type Phrase } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { formatBytes } from "../../model/units.ts";
import type { Call } from "../shared/verb.ts";
import { rootOf, rootText, type RootRequest } from "./root.ts";

/** What the cores of several processes are written into, where DEST does not say. */
const DIRECTORY = "cores";
/** The root file system, beside them. */
const ROOT_NAME = "root";

export interface CoresRequest extends Omit<RootRequest, "base"> {
  readonly pid: number | undefined;
  /** --base-image; undefined without it. */
  readonly base: string | undefined;
}

/** Cores of one process, or of all that live into a new directory; so is the root file system beside them, where it is asked for. */
export async function* extractCores(
  { archive, pid, to, base, problems }: CoresRequest,
  call: Call & Reading,
): AsyncGenerator<Piece, Outcome> {
  for (const error of problems) yield { error };
  const told: UserError[] = [];
  const tell = (problem: UserError): void => {
    if (!told.some(({ message }) => message === problem.message)) told.push(problem);
  };
  const processes = await coreProcesses(archive, pid, tell);
  await using destination = await openDestination(to);
  await using opened = new Disposal();
  const isOne = pid !== undefined && base === undefined;
  const directory = isOne ? destination.directory : opened.use(await destination.directory.makeDirectory(destination.nameFor(DIRECTORY)));
  const root = base === undefined ? undefined : opened.use(await rootOf(archive, base, directory, ROOT_NAME, call, tell));
  if (root !== undefined) yield { text: rootText(root), name: root.path };
  const items: ExtractedCore[] = [];
  let failed = problems.length;
  for (const process of processes) {
    try {
      const name = `core.${process.pid}`;
      const item = await writeCore(process, directory, isOne ? destination.nameFor(name) : name, {
        archive,
        signal: call.signal,
        tell,
        root,
      });
      items.push(item);
      yield* itemPieces(item, root?.path);
    } catch (error) {
      if (!(error instanceof UserError) || pid !== undefined || error.reason === "TooMuchToWrite") throw error;
      failed += 1;
      yield { error };
    }
  }
  for (const error of [...told, ...(root?.problems ?? [])]) yield { error };
  failed += told.length + (root?.problems.length ?? 0);
  const document = {
    apiVersion: API_VERSION,
    kind: "ExtractionList",
    items: items.map((item) => documentOf(item, root?.path)),
    ...(root === undefined ? {} : { root: { path: root.path, files: root.files, bytes: root.bytes, listing: root.listing } }),
  };
  if (failed > 0 && items.length === 0) return { document, exitCode: 1 };
  return { document, exitCode: failed > 0 ? 3 : 0 };
}

function* itemPieces(item: ExtractedCore, root: string | undefined): Generator<Piece> {
  const { pid, comm, path, bytes } = item;
  yield { text: say`core of process ${pid} (${comm}) written to ${path} (${formatBytes(bytes)})`, name: path };
  for (const [, line] of commandLines(item, root)) yield { text: say`  ${line}` };
}

function documentOf(item: ExtractedCore, root: string | undefined): object {
  const { pid, comm, path, bytes, threadNames, architecture } = item;
  const commands = Object.fromEntries(commandLines(item, root).map(([tool, line]) => [tool, plain(line)]));
  return { from: `process ${pid}`, path, bytes, pid, comm, architecture, threadNames, commands };
}

/** How debuggers are started with it. Without the root file system of the image, ROOT stands for it. */
function commandLines({ path, threadNames, executable, architecture, isPython, isGo }: ExtractedCore, root = "ROOT"): [string, Phrase][] {
  const gdb = architecture === "aarch64" ? say`gdb-multiarch` : say`gdb`;
  const program = `${root}${executable ?? "/PROGRAM"}`;
  const lines: [string, Phrase][] = [["gdb", command`${gdb} -iex ${`set sysroot ${root}`} -x ${threadNames} ${program} ${path}`]];
  // It looks for Python under the path that it had in the container, here on this machine: so it runs in the root.
  if (isPython) {
    const [inside, tool] = [posix.basename(path), `${root}/py-spy`];
    lines.push([
      "py-spy",
      say`${command`cp "$(command -v py-spy)" ${tool}`} && ${command`ln ${path} ${root}`} && ${command`unshare -r chroot ${root} /py-spy dump --core ${`/${inside}`}`}`,
    ]);
  }
  if (isGo) lines.push(["delve", command`dlv core ${program} ${path}`]);
  return lines;
}
