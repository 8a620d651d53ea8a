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
  const total = unit.parts.reduce((sum, { length }) => sum + length, 0);
  const isWhole = total <= LARGEST;
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
  readonly bytes: Buffer;
  addressOf(offset: number): bigint;
}

/** The bytes of parts, long gaps cut, in pieces of at most LARGEST. Throws a UserError where they cannot be read. */
async function* piecesOf(parts: readonly Part[]): AsyncGenerator<Piece> {
  let chunks: { address: bigint; bytes: Buffer }[] = [];
  let length = 0;
  for (const part of parts) {
    for (let done = 0; done < part.length;) {
      const count = Math.min(READ, part.length - done, LARGEST - length);
      if (count === 0) {
        const piece = joined(chunks);
        yield piece;
        const rest = piece.bytes.subarray(piece.bytes.length - OVERLAP);
        chunks = [{ address: piece.addressOf(piece.bytes.length - OVERLAP), bytes: Buffer.from(rest) }];
        length = OVERLAP;
        continue;
      }
      const bytes = await part.source.read(part.offset + done, count);
      const address = part.address + BigInt(done);
      const last = chunks.at(-1);
      const gap = last === undefined ? 0n : address - last.address - BigInt(last.bytes.length);
      if (gap > 0n) {
        const zeros = Math.min(gap > BigInt(GAP) ? 4096 : Number(gap), LARGEST - length - count);
        if (zeros > 0) chunks.push({ address: address - BigInt(zeros), bytes: Buffer.alloc(zeros) });
        length += Math.max(0, zeros);
      }
      chunks.push({ address, bytes: Buffer.from(bytes) });
      length += count;
      done += count;
    }
  }
  if (chunks.length > 0) yield joined(chunks);
}

function joined(chunks: readonly { readonly address: bigint; readonly bytes: Buffer }[]): Piece {
  const bytes = chunks.length === 1 && chunks[0] !== undefined ? chunks[0].bytes : Buffer.concat(chunks.map((chunk) => chunk.bytes));
  const starts: { readonly offset: number; readonly address: bigint }[] = [];
  let offset = 0;
  for (const chunk of chunks) {
    starts.push({ offset, address: chunk.address });
    offset += chunk.bytes.length;
  }
  return {
    bytes,
    addressOf(at) {
      const start = starts.findLast((one) => one.offset <= at);
      return start === undefined ? 0n : start.address + BigInt(at - start.offset);
    },
  };
}

function notDecided(label: string, rules: readonly string[]): UserError {
  const shown = rules.slice(0, 5).join(", ");
  return new UserError({
    reason: "NotDecided",
    message: say`not decided in ${label}: rules ${shown}${rules.length > 5 ? ` and ${rules.length - 5} more` : ""}`,
    why: "it is larger than 256 MiB, and scanned in pieces: only rules of which any string is enough can be decided",
  });
}
