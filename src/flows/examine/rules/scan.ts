import type { Archive } from "../../../archive/archive.ts";
import { attempt, type Tell } from "../../../criu/problems.ts";
import { UserError } from "../../../model/error.ts";
import { say } from "../../../model/phrase.ts";
import type { RuleMatch, Rules } from "../../../yara/rules.ts";
import type { Location } from "../search/location.ts";
import { withSearched, type SearchedSettings } from "../search/search.ts";
import { fileUnits, memoryUnits, type Part, type Unit } from "./units.ts";

/** Bytes of the largest scan; what is larger is scanned in pieces, which have so many bytes in common. */
const LARGEST = 256 << 20;
const OVERLAP = 1 << 20;
/** Memory without pages is left out of a scan, but for so many bytes, where it is longer than that. */
const GAP = 64 << 10;
const READ = 8 << 20;
/** Bytes of a string that are kept of a match. */
const SHOWN = 64;

export interface RuleFinding extends Pick<RuleMatch, "rule" | "tags" | "meta"> {
  readonly location: Location;
  readonly strings: readonly { readonly identifier: string; readonly address: bigint; readonly length: number; readonly bytes: Buffer }[];
}

export interface ScanSettings extends SearchedSettings {
  readonly rules: Rules;
  readonly scopes: ReadonlySet<"memory" | "files">;
  readonly progress: (label: string, bytes: number) => void;
}

/** What rules match in each region of memory, and in each file. What could not be scanned, or decided, goes to `tell`. */
export async function* scanArchive(archive: Archive, settings: ScanSettings): AsyncGenerator<RuleFinding> {
  const { scopes, tell } = settings;
  await using searching = await withSearched(archive, settings);
  for (const [scope, units] of [
    ["memory", memoryUnits],
    ["files", fileUnits],
  ] as const) {
    if (!scopes.has(scope)) continue;
    for await (const unit of units(searching.searched)) {
      settings.signal.throwIfAborted();
      for await (const finding of attempted(tell, scanUnit(unit, archive, settings))) yield finding;
    }
  }
}

async function* attempted<T>(tell: Tell, values: AsyncGenerator<T>): AsyncGenerator<T> {
  for (;;) {
    const next = await attempt(tell, async () => await values.next());
    if (next === undefined || next.done === true) return;
    yield next.value;
  }
}

async function* scanUnit(unit: Unit, archive: Archive, { rules, progress, tell, signal }: ScanSettings): AsyncGenerator<RuleFinding> {
  const isWhole = sizeOf(unit.parts) <= LARGEST;
  if (!isWhole) {
    const undecided = rules.names.filter((name) => !rules.anyString.has(name));
    if (undecided.length > 0) tell(notDecided(unit.label, undecided));
  }
  const seen = new Set<string>();
  for await (const piece of piecesOf(unit.parts)) {
    signal.throwIfAborted();
    progress(unit.label, piece.bytes.length);
    // How long rules take is theirs, not the archive's.
    for (const match of archive.budget.excuse(() => rules.scan(piece.bytes))) {
      if (!isWhole && (!rules.anyString.has(match.rule) || seen.has(match.rule))) continue;
      seen.add(match.rule);
      const strings = match.strings.map(({ identifier, offset, length }) => ({
        identifier,
        address: piece.addressOf(offset),
        length,
        bytes: Buffer.from(piece.bytes.subarray(offset, offset + Math.min(length, SHOWN))),
      }));
      const { rule, tags, meta } = match;
      const first = strings.reduce<bigint | undefined>(
        (least, { address }) => (least === undefined || address < least ? address : least),
        undefined,
      );
      yield { rule, tags, meta, strings, location: await unit.locate(first ?? unit.parts[0]?.address ?? 0n) };
    }
  }
}

interface Piece {
  /** Overwritten by those of the next piece. */
  readonly bytes: Buffer;
  addressOf(offset: number): bigint;
}

/** The bytes of parts, long gaps cut, in pieces of at most LARGEST. Throws a UserError where they cannot be read. */
async function* piecesOf(parts: readonly Part[]): AsyncGenerator<Piece> {
  const room = Buffer.allocUnsafeSlow(Math.min(LARGEST, sizeOf(parts)));
  /** Where bytes with other addresses begin: ascending. */
  let starts: { readonly offset: number; readonly address: bigint }[] = [];
  let length = 0;
  const piece = (): Piece => {
    const known = starts;
    return { bytes: room.subarray(0, length), addressOf: (at) => addressIn(known, at) };
  };
  let before: Part | undefined;
  for (const part of parts) {
    const zeros = Math.min(zerosBetween(before, part), room.length - length);
    room.fill(0, length, length + zeros);
    length += zeros;
    starts.push({ offset: length, address: part.address });
    for (let done = 0; done < part.length;) {
      if (length === room.length) {
        yield piece();
        const rest = length - OVERLAP;
        starts = [{ offset: 0, address: addressIn(starts, rest) }, ...starts.flatMap((one) => (one.offset > rest ? moved(one, rest) : []))];
        room.copyWithin(0, rest, length);
        length = OVERLAP;
      }
      const count = Math.min(READ, part.length - done, room.length - length);
      const place = room.subarray(length, length + count);
      const bytes = await part.source.read(part.offset + done, count, place);
      if (bytes.buffer !== place.buffer || bytes.byteOffset !== place.byteOffset) bytes.copy(place);
      length += count;
      done += count;
    }
    before = part;
  }
  if (length > 0) yield piece();
}

function moved({ offset, address }: { readonly offset: number; readonly address: bigint }, by: number) {
  return { offset: offset - by, address };
}

function addressIn(starts: readonly { readonly offset: number; readonly address: bigint }[], at: number): bigint {
  const start = starts.findLast((one) => one.offset <= at);
  return start === undefined ? 0n : start.address + BigInt(at - start.offset);
}

/** Zeros in place of memory without pages: less where that is long. */
function zerosBetween(before: Part | undefined, { address }: Part): number {
  if (before === undefined) return 0;
  const gap = address - before.address - BigInt(before.length);
  return gap <= 0n ? 0 : gap > BigInt(GAP) ? 4096 : Number(gap);
}

function sizeOf(parts: readonly Part[]): number {
  return parts.reduce((sum, part, index) => sum + zerosBetween(parts[index - 1], part) + part.length, 0);
}

function notDecided(label: string, rules: readonly string[]): UserError {
  const shown = rules.slice(0, 5).join(", ");
  return new UserError({
    reason: "NotDecided",
    message: say`not decided in ${label}: rules ${shown}${rules.length > 5 ? ` and ${rules.length - 5} more` : ""}`,
    why: "it is larger than 256 MiB, and scanned in pieces: only rules of which any string is enough can be decided",
  });
}
