import { createHash } from "node:crypto";
import type { Codec } from "../../../helper/directory.ts";
import type { Helpers } from "../../../helper/helpers.ts";
import type { Directory } from "../../../local/directory.ts";
import { writing } from "../../../local/failure.ts";
import { encryptedName, localName } from "../../../local/names.ts";
import { writeAll } from "../../../local/write.ts";
import type { Volumes } from "../../../model/documents.ts";
import { UserError } from "../../../model/error.ts";
import { nameText } from "../../../model/name.ts";
import { say } from "../../../model/phrase.ts";
import { formatBytes } from "../../../model/units.ts";
import type { FlowContext } from "../../context.ts";
import type { Encryption } from "../../evidence/open.ts";
import { byteProgress } from "../../progress.ts";
import { LARGE_VOLUMES, type ChosenVolumes } from "./select.ts";
import { bytesOf, volumesTar } from "./tar.ts";
import { walk, type LeftOut } from "./walk.ts";

export interface VolumesRequest {
  readonly helpers: Helpers;
  readonly chosen: ChosenVolumes;
  readonly directory: Directory;
  readonly codec: Codec | "auto";
  readonly encryption?: Encryption | undefined;
  /** Whether more than LARGE_VOLUMES was confirmed. */
  readonly large: boolean;
}

export interface BroughtVolumes {
  readonly volumes: Volumes;
  /** For the record: when they were read, and what is not in the archive as it was. */
  readonly record: object;
}

/** Paths in a record; the others are only counted. */
const MOST_NAMED = 1000;

/**
 * Brings a pod's volumes here as POD.volumes.tar, or POD-TIME.volumes.tar where that is there already. Throws a UserError; nothing with that
 * name is there then.
 */
export async function bringVolumes(context: FlowContext, request: VolumesRequest): Promise<BroughtVolumes> {
  const { helpers, chosen, directory, codec, encryption, large } = request;
  const { node, pod, names, mounts } = chosen;
  const { signal, emit, now } = context;
  const lane = `volumes ${node} ${pod}`;
  await using volumes = helpers.volumes(node, chosen.directory, names);
  const startedAt = new Date(now()).toISOString();
  try {
    const { found, leftOut } = await walk(volumes, names, (seen) =>
      emit({ kind: "activity", lane, text: say`reading the volumes of pod/${pod}: ${seen} entries` }),
    );
    const total = bytesOf(found);
    if (total > LARGE_VOLUMES && !large) await confirmLarge(context, pod, total);
    const leaveOut = (one: LeftOut): void => void leftOut.push(one);
    let entries = 0;
    const tar = volumesTar({ volumes, found, codec, signal, leaveOut, counted: () => (entries += 1) });
    const progress = byteProgress(context, lane, say`copying the volumes of pod/${pod}`, total);
    try {
      const written = await write(directory, await freeName(directory, pod, startedAt, encryption !== undefined), tar, {
        bytes: total,
        encryption,
        signal,
        progress: (bytes) => progress.update(Math.min(bytes, total)),
      });
      const counts = Object.fromEntries([...Map.groupBy(leftOut, ({ kind }) => kind)].map(([kind, all]) => [kind, all.length]));
      if (leftOut.length > 0) emit({ kind: "warning", text: say`volumes of pod/${pod}: not included as they were: ${countsText(counts)}` });
      return {
        volumes: { ...written, names, entries, leftOut: counts, mounts },
        record: {
          startedAt,
          finishedAt: new Date(now()).toISOString(),
          directory: `${node}:${chosen.directory}`,
          // Whether there were any is not known: nothing in the helper's image reads them.
          notRead: ["extended attributes"],
          leftOut: leftOut.slice(0, MOST_NAMED).map(({ path, kind }) => ({ path: nameText(path), kind })),
        },
      };
    } finally {
      progress.end();
    }
  } finally {
    emit({ kind: "idle", lane });
  }
}

const KINDS: Readonly<Record<string, string>> = {
  socket: "sockets",
  device: "devices",
  fifo: "FIFOs",
  other: "special files",
  changed: "files that changed while they were read",
  unreadable: "files that could not be read",
};

function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .map(([kind, count]) => `${KINDS[kind] ?? kind}: ${count}`)
    .join(", ");
}

async function confirmLarge({ ask }: FlowContext, pod: string, bytes: number): Promise<void> {
  if (ask.possible && (await ask.confirm(say`The volumes of pod/${pod} have ${formatBytes(bytes)}. Copy them?`))) return;
  throw new UserError({
    reason: "VolumesTooLarge",
    message: say`the volumes of pod/${pod} were not copied: they have ${formatBytes(bytes)}`,
    fix: "rerun with --yes to copy volumes of any size, or --volumes=NAME for some of them",
  });
}

/** Never one that is taken: other volumes of a pod of that name may lie there. */
async function freeName(directory: Directory, pod: string, time: string, isEncrypted: boolean): Promise<string> {
  const names = [pod, `${pod}-${time.replaceAll(/[:.]/g, "-")}`].map((one) => `${localName(one)}.volumes.tar`);
  const [first = "", second = ""] = isEncrypted ? names.map(encryptedName) : names;
  return (await directory.look(first)) === undefined ? first : second;
}

interface Writing {
  /** Of the files, without headers. */
  readonly bytes: number;
  readonly encryption: Encryption | undefined;
  readonly signal: AbortSignal;
  readonly progress: (bytes: number) => void;
}

async function write(
  directory: Directory,
  final: string,
  tar: AsyncIterable<Buffer>,
  { bytes, encryption, signal, progress }: Writing,
): Promise<Pick<Volumes, "path" | "bytes" | "sha256" | "encrypted">> {
  await directory.ensureRoom(final, bytes);
  const name = `${final}.part`;
  await directory.remove(name);
  const file = await directory.create(name);
  const path = directory.pathOf(final);
  let published = false;
  try {
    const plain = tally(tar, progress);
    const pieces = encryption === undefined ? plain.pieces : await encryptedPieces(encryption, plain.pieces);
    const written = tally(pieces, () => {});
    let at = 0;
    for await (const piece of written.pieces) {
      signal.throwIfAborted();
      await writing(path, async () => await writeAll(file, piece, at));
      at += piece.length;
    }
    await directory.publish({ name, file }, final, false);
    published = true;
    return { path, ...plain.sum(), ...(encryption === undefined ? {} : { encrypted: written.sum() }) };
  } finally {
    await file.close();
    if (!published) await directory.remove(name);
  }
}

async function encryptedPieces({ recipients }: Encryption, plain: AsyncIterable<Buffer>): Promise<AsyncIterable<Buffer>> {
  const [{ newHeader }, { encrypted }] = await Promise.all([import("../../../age/header.ts"), import("../../../age/payload.ts")]);
  return encrypted(await newHeader(recipients), plain);
}

/** Pieces, and in the end how many bytes they were, and their SHA-256. */
function tally(pieces: AsyncIterable<Buffer>, progress: (bytes: number) => void) {
  const hash = createHash("sha256");
  let bytes = 0;
  async function* counted(): AsyncGenerator<Buffer, void> {
    for await (const piece of pieces) {
      hash.update(piece);
      bytes += piece.length;
      progress(bytes);
      yield piece;
    }
  }
  return { pieces: counted(), sum: () => ({ bytes, sha256: hash.digest("hex") }) };
}
