import { Budget } from "../../../archive/budget.ts";
import { engineOf, infoOfSpec } from "../../../archive/engines/engine.ts";
import { readAhead } from "../../../archive/sources.ts";
import { indexTar } from "../../../archive/tar/index.ts";
import { batches } from "../../../helper/batches.ts";
import type { NodeDirectory } from "../../../helper/directory.ts";
import type { NodeFile } from "../../../helper/listing.ts";
import { isPassing } from "../../../helper/transport.ts";
import { readArchiveName } from "../../../kubelet/archive-name.ts";
import { UserError } from "../../../model/error.ts";
import { inParallel } from "../../../model/parallel.ts";
import type { Source } from "../../../model/source.ts";
import type { Identity } from "./archive.ts";

/** Which archives are of interest: the others need not be told apart. */
export interface Scope {
  /** Undefined: all. */
  readonly namespace: string | undefined;
  /** By name; undefined: all. */
  readonly pods: ReadonlySet<string> | undefined;
}

/** Requests at once to one node. */
const STREAMS = 2;
/** What is read at once of an archive, in bytes: by exec a request costs more than its bytes. */
const WINDOW = { http: 64 << 10, exec: 512 << 10 };
/** Less than two blocks is no archive. */
const SMALLEST = 1024;
/** busybox's tar does not know the extended headers that larger members have, and would take their data for headers. */
const LARGEST_FOR_TAR = 8 * 2 ** 30;

/**
 * Which container each file is of. A name that can be read in one way only tells it. Else the archive's own metadata decides, read
 * without copying the archive; what they do not tell stays open. Throws where the node cannot be asked any more.
 */
export async function identify(
  directory: NodeDirectory,
  listed: readonly NodeFile[],
  scope: Scope,
  signal: AbortSignal,
): Promise<Map<NodeFile, Identity>> {
  const identities = new Map<NodeFile, Identity>();
  const open: NodeFile[] = [];
  for (const file of listed) {
    const certain = byName(file, scope);
    identities.set(file, certain ?? { ...podByName(file) });
    if (certain === undefined && file.bytes >= SMALLEST) open.push(file);
  }
  const untold = open.filter(({ bytes }) => bytes >= LARGEST_FOR_TAR);
  await inParallel(batches(open.filter(({ bytes }) => bytes < LARGEST_FOR_TAR)), STREAMS, async (batch) => {
    const specs = await specsOf(directory, batch);
    for (const [index, file] of batch.entries()) {
      const info = parsedSpec(specs[index]);
      if (info === undefined) untold.push(file);
      else identities.set(file, decided(file, info));
    }
  });
  await inParallel(untold, STREAMS, async (file) => {
    identities.set(file, decided(file, await metadata(directory, file, signal)));
  });
  return identities;
}

/** None where they are absurdly long. */
async function specsOf(directory: NodeDirectory, batch: readonly NodeFile[]): Promise<(string | undefined)[]> {
  try {
    return await directory.specs(batch);
  } catch (error) {
    if (error instanceof UserError && error.reason === "AnswerTooLong") return [];
    throw error;
  }
}

/** Undefined where the archive itself has to be asked. */
function byName(file: NodeFile, scope: Scope): Identity | undefined {
  const name = readArchiveName(file.name);
  if (name === undefined) return undefined;
  const { pod, readings } = name;
  const [only] = readings;
  if (readings.length === 1 && only !== undefined) return { pod, ...only };
  const cannotMatter =
    (scope.pods !== undefined && !scope.pods.has(pod)) ||
    (scope.namespace !== undefined && readings.every(({ namespace }) => namespace !== scope.namespace));
  return cannotMatter ? { pod, elsewhere: true } : undefined;
}

function podByName(file: NodeFile): Identity {
  const pod = readArchiveName(file.name)?.pod;
  return pod === undefined ? {} : { pod };
}

/** What the metadata say, if the name can be read that way: a file that was renamed tells nothing for certain. */
function decided(file: NodeFile, { namespace, pod, container }: Identity): Identity {
  const name = readArchiveName(file.name);
  const told = namespace !== undefined && pod !== undefined && container !== undefined;
  if (name === undefined) return told ? { namespace, pod, container } : {};
  const reading = name.readings.find((one) => one.namespace === namespace && one.container === container);
  return told && name.pod === pod && reading !== undefined ? { namespace, pod, container } : { pod: name.pod };
}

/** Of spec.dump alone; undefined where that does not tell it all. */
function parsedSpec(text: string | undefined): Identity | undefined {
  if (text === undefined) return undefined;
  try {
    const { namespace, pod, container } = infoOfSpec(JSON.parse(text));
    return namespace === undefined || pod === undefined || container === undefined ? undefined : { namespace, pod, container };
  } catch {
    return undefined;
  }
}

/** By the chain of its headers, range by range. Empty where it is no archive that tells. */
async function metadata(directory: NodeDirectory, file: NodeFile, signal: AbortSignal): Promise<Identity> {
  const source: Source = { size: file.bytes, read: async (offset, length) => await directory.read(file, offset, length) };
  const { transport } = await directory.ready();
  try {
    const archive = await indexTar(readAhead(source, WINDOW[transport.kind]), { label: file.name, budget: Budget.withoutClock() });
    const { namespace, pod, container } = await engineOf(archive);
    return {
      ...(namespace === undefined ? {} : { namespace }),
      ...(pod === undefined ? {} : { pod }),
      ...(container === undefined ? {} : { container }),
    };
  } catch (error) {
    if (signal.aborted || !(error instanceof UserError) || isPassing(error)) throw error;
    return {};
  }
}
