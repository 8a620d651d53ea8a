import { UserError } from "../../model/error.ts";
import { object, string } from "../../model/json.ts";
import { command, joined, say } from "../../model/phrase.ts";
import type { OpenArchive, OpenOptions, PodContents } from "../archive.ts";
import { notFiles } from "../expected.ts";
import { readJson } from "../read.ts";
import { renamed } from "./view.ts";

/** What files at the top of an archive mean: an image of OCI's, one of Docker's, CRI-O's archive of a pod. */
const OCI_INDEX = "index.json";
const DOCKER_MANIFEST = "manifest.json";
const POD_OPTIONS = "pod.options";

/** How an image is to be opened: `wanted` is its name, where there are several. */
export interface Unwrapping extends OpenOptions {
  /** What the archive is called in errors. */
  readonly label: string;
  readonly wanted?: string | undefined;
}

/**
 * The checkpoint in an archive or a directory that holds it in another form: as the layer of an image, as the directory of a pod's
 * container, below some other directory, or as CRIU's images alone. Takes it over; where it is none of them, it is what it was.
 * Throws a UserError where it cannot be told which of several is meant.
 */
export async function unwrapped(archive: OpenArchive, options: Unwrapping): Promise<OpenArchive> {
  const { members } = archive;
  try {
    if (members.has(OCI_INDEX) || members.has(DOCKER_MANIFEST)) {
      const { layerOf } = await import("./image.ts");
      return await layerOf(archive, options);
    }
    const pod = members.has(POD_OPTIONS) ? await podContents(archive) : undefined;
    if (pod !== undefined) return onePod(archive, pod, options);
    return below(archive);
  } catch (error) {
    await archive[Symbol.asyncDispose]();
    throw error;
  }
}

const ENGINE_FILE = /^(.*\/)?(?:config\.dump|spec\.dump|checkpoint\/[^/]+\.img)$/;
const IMAGE = /^(.*\/)?(?:pstree|files|(?:core|mm|ids|fs)-\d+)\.img$/;
/** What a pre-dump writes too. */
const PRE_DUMP_IMAGE = /^(.*\/)?(?:inventory|pagemap-\d+)\.img$/;
/** CRIU's own, beside its images; engines have them elsewhere. */
const BESIDE = new Set(["stats-dump", "dump.log"]);

/** As `tar` packs a directory that was unpacked before, or one that CRIU wrote to. */
function below(archive: OpenArchive): OpenArchive {
  const unpacked = shortest(archive, ENGINE_FILE);
  if (unpacked !== undefined) return renamed(archive, (name) => (name.startsWith(unpacked) ? name.slice(unpacked.length) : undefined));
  const directory = shortest(archive, IMAGE) ?? shortest(archive, PRE_DUMP_IMAGE);
  if (directory === undefined) return archive;
  // Those beside it may be the dumps that it builds on.
  const around = directory.replace(/[^/]*\/$/, "");
  const rename = (name: string): string | undefined => {
    if (name.startsWith(directory)) {
      const file = name.slice(directory.length);
      return BESIDE.has(file) ? file : `checkpoint/${file}`;
    }
    const beside = name.startsWith(around) ? name.slice(around.length) : "";
    return beside.startsWith("checkpoint/") || !beside.includes("/") ? undefined : beside;
  };
  return renamed(archive, rename, { form: "images" });
}

/** The shortest directory in which such a member lies, with its slash; the first of several. */
function shortest({ members, budget }: OpenArchive, pattern: RegExp): string | undefined {
  let found: string | undefined;
  for (const name of members.keys()) {
    budget.step();
    const [whole, directory = ""] = pattern.exec(name) ?? [];
    if (whole !== undefined && (found === undefined || directory.length < found.length)) found = directory;
  }
  return found;
}

/** Annotations that checkpointctl's library names. */
const POD_NAME = "org.criu.checkpoint.pod.name";
const POD_NAMESPACE = "org.criu.checkpoint.pod.namespace";

async function podContents(archive: OpenArchive): Promise<PodContents | undefined> {
  const options = object(await readJson(archive, POD_OPTIONS));
  const annotations = object(options["annotations"]);
  const containers = Object.entries(object(options["containers"])).flatMap(([name, value]) => {
    const directory = string(value);
    return archive.members.has(`${directory}/config.dump`) || archive.members.has(`${directory}/checkpoint`) ? [{ name, directory }] : [];
  });
  return { namespace: string(annotations[POD_NAMESPACE]) || undefined, pod: string(annotations[POD_NAME]) || undefined, containers };
}

/** The archive of one container of a pod's, of the same life as the whole. */
export function containerIn(archive: OpenArchive, directory: string): OpenArchive {
  const prefix = `${directory}/`;
  const container = renamed(archive, (name) => (name.startsWith(prefix) ? name.slice(prefix.length) : undefined));
  return { ...container, problems: [...archive.problems, ...notFiles(container)] };
}

function onePod(archive: OpenArchive, pod: PodContents, { label, pods }: Unwrapping): OpenArchive {
  const { containers } = pod;
  const [only] = containers;
  if (containers.length === 1 && only !== undefined) return containerIn(archive, only.directory);
  if (pods === true) return { ...archive, pod };
  const names = containers.map(({ name }) => name);
  throw new UserError({
    reason: "PodArchive",
    message: say`${label} is the archive of a whole pod, with ${containers.length} containers: ${joined(names, ", ")}`,
    fix:
      only === undefined
        ? undefined
        : say`take one of them out, then name its directory: ${command`kubectl checkpoint extract ${label} ${only.directory}`}`,
  });
}
