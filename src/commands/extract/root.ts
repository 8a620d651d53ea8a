import type { OpenArchive, Reading } from "../../archive/archive.ts";
import { checkRoot } from "../../flows/examine/base/check.ts";
import { baseReference, platformOf } from "../../flows/examine/base/reference.ts";
import { writeRoot, type WrittenRoot } from "../../flows/examine/base/root.ts";
import { commonsOf } from "../../criu/commons.ts";
import { attempt, type Tell } from "../../criu/problems.ts";
import { processes } from "../../criu/processes.ts";
import { openDestination } from "../../local/destination.ts";
import type { Directory } from "../../local/directory.ts";
import { API_VERSION } from "../../model/documents.ts";
import type { UserError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import { counted, formatBytes } from "../../model/units.ts";
import type { Call } from "../shared/verb.ts";

export interface RootRequest {
  readonly archive: OpenArchive;
  readonly to: string | undefined;
  /** --base-image. */
  readonly base: string;
  /** What is wrong with the archive as such. */
  readonly problems: readonly UserError[];
}

/** The whole file system of the container into a new directory. */
export async function* extractRoot({ archive, to, base, problems }: RootRequest, call: Call & Reading): AsyncGenerator<Piece, Outcome> {
  for (const error of problems) yield { error };
  await using destination = await openDestination(to);
  const told: UserError[] = [];
  await using root = await rootOf(archive, base, destination.directory, destination.nameFor("rootfs"), call, (problem) =>
    told.push(problem),
  );
  yield { text: rootText(root), name: root.path };
  yield { text: say`modes and owners are listed in ${root.listing}` };
  const { path, files, bytes, listing, special, names } = root;
  for (const { name, why } of names.slice(0, MOST_NAMES)) call.emit({ kind: "warning", text: say`skipped ${name}, which ${why}` });
  if (special > 0) call.emit({ kind: "warning", text: say`special files were listed and not created: ${special}` });
  for (const error of [...told, ...root.problems]) yield { error };
  const partial = problems.length + told.length + root.problems.length + names.length + special > 0;
  const document = {
    apiVersion: API_VERSION,
    kind: "ExtractionList",
    items: [{ from: "/", path, bytes, files, listing }],
    skipped: { symbolicLinks: 0, special, mountPoints: 0, names },
  };
  return { document, exitCode: partial ? 3 : 0 };
}

const MOST_NAMES = 20;

export function rootText({ path, files, bytes }: WrittenRoot) {
  return say`root file system written to ${path} (${counted(files, "file")}, ${formatBytes(bytes)})`;
}

/**
 * Writes the root file system of the container into a new directory, and compares its programs with those that were mapped: where they are
 * others, it is removed again, and a UserError thrown.
 */
export async function rootOf(
  archive: OpenArchive,
  base: string,
  above: Directory,
  name: string,
  call: Call & Reading,
  tell: Tell,
): Promise<WrittenRoot> {
  const { reference, warning } = await baseReference(archive, base);
  if (warning !== undefined) call.emit({ kind: "warning", text: warning });
  const architecture = (await processes(archive, () => {})).flatMap(({ threads }) => threads)[0]?.architecture;
  const directory = await above.makeDirectory(name);
  let root: WrittenRoot | undefined;
  try {
    root = await writeRoot(archive, reference, platformOf(architecture), directory, call);
    const table = await attempt(tell, commonsOf(archive).files);
    if (table !== undefined && (await checkRoot(archive, table, root)) === 0)
      call.emit({
        kind: "warning",
        text: say`the checkpoint has no build ID to compare with: whether ${reference} is its image is not known`,
      });
    return root;
  } catch (error) {
    await root?.[Symbol.asyncDispose]();
    await above.removeAll(name);
    throw error;
  }
}
