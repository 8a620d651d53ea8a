import { nameText } from "../model/name.ts";
import type { Source } from "../model/source.ts";
import { readElf, type Elf, type Section } from "./reader.ts";

/** The function that an address lies in. */
export interface Symbol {
  readonly name: string;
  /** From where it begins, in bytes. */
  readonly offset: number;
}

const SYMTAB = 2;
const DYNSYM = 11;
const SYMBOL_BYTES = 24;
const ET_DYN = 3;
const PT_LOAD = 1;
/** STT_FUNC, STT_NOTYPE (assembly), STT_GNU_IFUNC. */
const FUNCTIONS = new Set([0, 2, 10]);
const PIECE = SYMBOL_BYTES * 16_384;
/** Of the symbols of no program known; more is a size that lies. */
const LARGEST_TABLE = 128 << 20;
const LONGEST_NAME = 512;
/** A symbol without a size reaches no further. */
const FARTHEST = 1 << 16;

/** The symbols at addresses, each as far as its file's first mapping begins; those that are in no symbol are left out. Throws what `source` throws. */
export async function symbolsAt(source: Source, offsets: readonly bigint[]): Promise<Map<bigint, Symbol>> {
  const elf = await readElf(source);
  const found = new Map<bigint, Symbol>();
  if (elf === undefined) return found;
  const base = loadBase(elf);
  // Numbers: of a table of millions each symbol is looked at.
  const wanted = offsets
    .map((offset) => ({ offset, address: Number(base + offset) }))
    .filter(({ address }) => Number.isSafeInteger(address))
    .sort((one, other) => one.address - other.address);
  const addresses = wanted.map(({ address }) => address);
  const table = elf.sections.find(({ type }) => type === SYMTAB) ?? elf.sections.find(({ type }) => type === DYNSYM);
  const names = table && elf.sections[table.link];
  if (table === undefined || names === undefined || !fits(table, source) || !fits(names, source)) return found;
  const best = new Map<bigint, { value: number; sized: boolean; name: number }>();
  for (let at = 0; at < table.size; at += PIECE) {
    const bytes = await source.read(table.offset + at, Math.min(PIECE, table.size - at));
    for (let entry = 0; entry + SYMBOL_BYTES <= bytes.length; entry += SYMBOL_BYTES) {
      if (!FUNCTIONS.has((bytes[entry + 4] ?? 0) & 15) || bytes.readUInt16LE(entry + 6) === 0) continue;
      const value = number64(bytes, entry + 8);
      const size = number64(bytes, entry + 16);
      const sized = size > 0;
      const end = value + (sized ? size : FARTHEST);
      for (let next = firstFrom(addresses, value); next < wanted.length; next += 1) {
        const { offset, address } = wanted[next] ?? { offset: 0n, address: Infinity };
        if (address >= end) break;
        const before = best.get(offset);
        // One that covers it is nearer than one that only begins before it.
        if (before === undefined || (sized && !before.sized) || (sized === before.sized && value > before.value))
          best.set(offset, { value, sized, name: bytes.readUInt32LE(entry) });
      }
    }
  }
  for (const [offset, { value, name }] of best) {
    const text = await nameAt(source, names, name);
    if (text !== "") found.set(offset, { name: text, offset: Number(base + offset) - value });
  }
  return found;
}

/** Larger ones than addresses are: not exact, and in no program. */
function number64(bytes: Buffer, at: number): number {
  return bytes.readUInt32LE(at) + bytes.readUInt32LE(at + 4) * 0x100000000;
}

/** The place of the first that is not less, of numbers that ascend. */
function firstFrom(ascending: readonly number[], least: number): number {
  let [low, high] = [0, ascending.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((ascending[middle] ?? 0) < least) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** Programs that have their addresses in them begin where their first segment says. */
function loadBase({ type, segments }: Elf): bigint {
  const first = segments.find((segment) => segment.type === PT_LOAD);
  return type === ET_DYN || first === undefined ? 0n : first.address - first.offset;
}

function fits({ offset, size }: Section, source: Source): boolean {
  return Number.isSafeInteger(offset) && Number.isSafeInteger(size) && size <= LARGEST_TABLE && offset + size <= source.size;
}

async function nameAt(source: Source, { offset, size }: Section, at: number): Promise<string> {
  if (at >= size) return "";
  const bytes = await source.read(offset + at, Math.min(LONGEST_NAME, size - at));
  const end = bytes.indexOf(0);
  return nameText(end < 0 ? bytes : bytes.subarray(0, end));
}
