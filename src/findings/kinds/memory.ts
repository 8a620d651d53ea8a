import { command, say, type Phrase } from "../../model/phrase.ts";
import type { RegionItem } from "../../model/inspection.ts";
import { baseName, processName, regionsOf, type FindingKind, type ProcessFacts } from "../facts.ts";

/** Programs that make code as they run. */
const COMPILES =
  /^(java|node|nodejs|deno|bun|dotnet|mono|pypy|luajit|nginx|php|ruby|beam|erl|julia|chrome|chromium|firefox|qemu-|wasmtime|postgres|mysqld|mariadbd|rspamd|R$)/;

/** Memory that should not be as it is. */
export const MEMORY: readonly FindingKind[] = [
  ofRegions(
    "ExecutableStack",
    "A stack or heap may be executed",
    ({ access, kind }) => access.includes("x") && (kind === "stack" || kind === "heap"),
    (kind) => say`its ${kind} may be executed: data that somebody sends can become code`,
  ),
  ofRegions(
    "WritableCode",
    "Memory is writable and executable at once",
    ({ access, kind }) => access.includes("w") && access.includes("x") && kind !== "stack" && kind !== "heap",
    () => say`code that was not loaded from a file can be written there and run: just-in-time compilers do that, and injected code`,
  ),
  ofRegions(
    "AnonymousCode",
    "Code runs from memory that no file is mapped to",
    ({ access, kind, name }) => access.includes("x") && !access.includes("w") && kind === "anonymous" && name === "",
    () => say`code that was not loaded from a file is there: just-in-time compilers have that, and injected code`,
  ),
];

function ofRegions(id: string, about: string, wanted: (region: RegionItem) => boolean, why: (kind: string) => Phrase): FindingKind {
  return {
    id,
    about,
    *find({ file, processes }) {
      for (const facts of processes) {
        const found = regionsOf(facts.item).filter((region) => wanted(region));
        const [first] = found;
        if (first === undefined) continue;
        const bytes = found.reduce((sum, { mappedBytes }) => sum + mappedBytes, 0);
        const { pid } = facts.item;
        yield {
          severity: severityOf(facts),
          title: say`${processName(facts.item)}: ${found.length} ${found.length === 1 ? "region" : "regions"} of ${first.access.slice(0, 3)} memory, ${Math.ceil(bytes / 1024)} KiB, at ${first.start}`,
          detail: why(first.kind),
          command: command`kubectl checkpoint extract ${file} --pid ${pid} --range ${`${first.start}-${first.end}`} --to ${`${pid}-${first.start}.bin`}`,
          pid,
          address: first.start,
        };
      }
    },
  };
}

function severityOf({ exe, origin }: ProcessFacts): "medium" | "note" {
  return origin === "image" && COMPILES.test(baseName(exe)) ? "note" : "medium";
}
