import type { Archive } from "../archive/archive.ts";
import { given } from "./decode.ts";
import { oneEntry } from "./entries.ts";
import { SeccompEntrySchema, SeccompFilterSchema } from "./gen/process_pb.ts";
import { systemCalls } from "./syscalls.ts";

/** A seccomp filter: a BPF program that the kernel asks about each system call. */
export interface SeccompFilter {
  /** In seccomp.img, as threads name it. */
  readonly id: number;
  /** The one that was installed after it, and is asked too: CRIU calls it "prev", but reads them from the kernel oldest first. */
  readonly next: number | undefined;
  readonly instructions: number;
  /** "log", "tsync", … of seccomp(2). */
  readonly flags: readonly string[];
  /** What it answers, by what it is: "allow", "errno 1", "kill process", "depends on arguments". Undefined where it cannot be read. */
  readonly calls: Readonly<Record<string, readonly string[]>> | undefined;
}

const FLAGS = [
  [2, "log"],
  [4, "spec-allow"],
  [8, "notify"],
  [32, "wait-killable"],
] as const;

/** The filters of an archive, in the order of their ids. Throws a UserError where seccomp.img is damaged. */
export async function seccompFilters(archive: Archive, architecture: string | undefined): Promise<SeccompFilter[]> {
  const image = await oneEntry(archive, "seccomp.img", SeccompEntrySchema);
  return (image?.seccompFilters ?? []).map((entry, id) => ({
    id,
    next: given(SeccompFilterSchema, entry, "prev"),
    instructions: Math.floor(entry.filter.length / 8),
    flags: FLAGS.filter(([bit]) => entry.flags & bit).map(([, name]) => name),
    calls: architecture === undefined ? undefined : answers(instructions(entry.filter), architecture, archive),
  }));
}

/** How many filters a thread has, by the id of its first one. */
export function filterCount(filters: readonly SeccompFilter[], first: number | undefined): number {
  let count = 0;
  for (let at = first; at !== undefined && count < filters.length; at = filters[at]?.next) count += 1;
  return count;
}

interface Instruction {
  readonly code: number;
  readonly ifTrue: number;
  readonly ifFalse: number;
  readonly value: number;
}

/** struct sock_filter of linux/filter.h, in the byte order of the machine: none that seccomp knows by name here is big-endian. */
function instructions(filter: Uint8Array): Instruction[] {
  const bytes = Buffer.from(filter.buffer, filter.byteOffset, filter.byteLength);
  return Array.from({ length: Math.floor(bytes.length / 8) }, (_, index) => ({
    code: bytes.readUInt16LE(index * 8),
    ifTrue: bytes[index * 8 + 2] ?? 0,
    ifFalse: bytes[index * 8 + 3] ?? 0,
    value: bytes.readUInt32LE(index * 8 + 4),
  }));
}

/** AUDIT_ARCH_* of linux/audit.h. */
const ARCHITECTURES: Readonly<Record<string, number>> = {
  "x86-64": 0xc000003e,
  aarch64: 0xc00000b7,
  riscv64: 0xc00000f3,
  loongarch64: 0xc0000102,
};

/** All that it may answer to each call that the architecture has, calls with the same answer together. */
function answers(program: readonly Instruction[], architecture: string, { budget }: Archive): SeccompFilter["calls"] {
  const audit = ARCHITECTURES[architecture];
  if (audit === undefined || program.length === 0) return undefined;
  const calls = new Map<string, string[]>();
  for (const [number, name] of systemCalls(architecture)) {
    const actions = new Set<string>();
    if (!run(program, number, audit, actions, budget)) return undefined;
    const [only] = actions;
    const answer = actions.size === 1 && only !== undefined ? only : "depends on arguments";
    const same = calls.get(answer);
    if (same === undefined) calls.set(answer, [name]);
    else same.push(name);
  }
  return Object.fromEntries(calls);
}

/** A register of the machine: undefined where it depends on what the program was called with. */
type Value = number | undefined;

interface State {
  readonly at: number;
  readonly a: Value;
  readonly x: Value;
  readonly memory: readonly Value[];
}

/** No program is that long: 4096 instructions; paths are followed one by one. */
const MOST_STEPS = 20_000;

/**
 * Follows a program for one system call: where it asks for an argument or an address, both ways. False where it does what is not known
 * here, or goes too many ways.
 */
function run(program: readonly Instruction[], number: number, audit: number, actions: Set<string>, budget: Archive["budget"]): boolean {
  const states: State[] = [{ at: 0, a: 0, x: 0, memory: [] }];
  let steps = 0;
  for (let state = states.pop(); state !== undefined; state = states.pop()) {
    for (;;) {
      steps += 1;
      if (steps > MOST_STEPS) return false;
      const instruction = program[state.at];
      if (instruction === undefined) return false;
      const next = step(instruction, state, number, audit);
      if (next === undefined) return false;
      if (typeof next === "string") {
        actions.add(next);
        break;
      }
      const [first, second]: readonly State[] = next;
      if (second !== undefined) states.push(second);
      if (first === undefined) return false;
      state = first;
    }
  }
  budget.step(steps);
  return true;
}

/** What comes after an instruction: one state, or two; an action where the program ends; undefined for what is not known here. */
function step(
  { code, ifTrue, ifFalse, value }: Instruction,
  state: State,
  number: number,
  audit: number,
): readonly State[] | string | undefined {
  const { at, a, x, memory } = state;
  const go = (change: Partial<State>): State[] => [{ ...state, at: at + 1, ...change }];
  switch (code) {
    case 0x20: // ld [k]
      return go({ a: value === 0 ? number : value === 4 ? audit : undefined });
    case 0x80: // ld len: of struct seccomp_data
      return go({ a: 64 });
    case 0x00: // ld #k
      return go({ a: value });
    case 0x60: // ld M[k]
      return go({ a: memory[value] });
    case 0x01: // ldx #k
      return go({ x: value });
    case 0x61: // ldx M[k]
      return go({ x: memory[value] });
    case 0x81: // ldx len
      return go({ x: 64 });
    case 0x02: // st
      return value > 15 ? undefined : go({ memory: with_(memory, value, a) });
    case 0x03: // stx
      return value > 15 ? undefined : go({ memory: with_(memory, value, x) });
    case 0x07: // tax
      return go({ x: a });
    case 0x87: // txa
      return go({ a: x });
    case 0x84: // neg
      return go({ a: a === undefined ? undefined : -a >>> 0 });
    case 0x05: // ja
      return go({ at: at + 1 + value });
    case 0x06: // ret #k
      return actionName(value);
    case 0x16: // ret a
      return a === undefined ? "depends on arguments" : actionName(a);
  }
  const operand = (code & 0x08) === 0 ? value : x;
  const operation = code & 0xf0;
  if ((code & 0x07) === 0x04) return ARITHMETIC[operation] === undefined ? undefined : go({ a: computed(operation, a, operand) });
  if ((code & 0x07) !== 0x05) return undefined;
  const compare = COMPARISONS[operation];
  if (compare === undefined) return undefined;
  const [yes, no] = [at + 1 + ifTrue, at + 1 + ifFalse];
  if (a !== undefined && operand !== undefined) return go({ at: compare(a, operand) ? yes : no });
  return yes === no
    ? go({ at: yes })
    : [
        { ...state, at: yes },
        { ...state, at: no },
      ];
}

function with_(memory: readonly Value[], index: number, value: Value): Value[] {
  const changed = [...memory];
  changed[index] = value;
  return changed;
}

const ARITHMETIC: Readonly<Record<number, (a: number, b: number) => number>> = {
  0x00: (a, b) => a + b,
  0x10: (a, b) => a - b,
  0x20: (a, b) => Math.imul(a, b),
  0x30: (a, b) => Math.floor(a / b),
  0x40: (a, b) => a | b,
  0x50: (a, b) => a & b,
  0x60: (a, b) => a << b,
  0x70: (a, b) => a >>> b,
  0x90: (a, b) => a % b,
  0xa0: (a, b) => a ^ b,
};

const COMPARISONS: Readonly<Record<number, (a: number, b: number) => boolean>> = {
  0x10: (a, b) => a === b,
  0x20: (a, b) => a > b,
  0x30: (a, b) => a >= b,
  0x40: (a, b) => (a & b) !== 0,
};

function computed(operation: number, a: Value, b: Value): Value {
  const result = a === undefined || b === undefined ? undefined : ARITHMETIC[operation]?.(a, b);
  return result === undefined || !Number.isFinite(result) ? undefined : result >>> 0;
}

/** SECCOMP_RET_* of linux/seccomp.h. */
function actionName(value: number): string {
  const data = value & 0xffff;
  switch (value & 0xffff0000) {
    case 0x7fff0000:
      return "allow";
    case 0x7ffc0000:
      return "log";
    case 0x7ff00000:
      return `trace ${data}`;
    case 0x7fc00000:
      return "notify";
    case 0x00050000:
      return `errno ${data}`;
    case 0x00030000:
      return `trap ${data}`;
    case 0x00000000:
      return "kill thread";
    case 0x80000000 | 0:
      return "kill process";
    default:
      return `0x${value.toString(16)}`;
  }
}
