import type { OpenArchive } from "../../archive/archive.ts";
import { hex } from "../../criu/numbers.ts";
import type { RuleFinding } from "../../flows/examine/rules/scan.ts";
import type { UserError } from "../../model/error.ts";
import { joined, say, whole, type Phrase } from "../../model/phrase.ts";
import type { Outcome, Piece } from "../../model/report.ts";
import type { Call } from "../shared/verb.ts";
import type { VolumesBeside } from "../../archive/volumes.ts";
import { activity, escapeBytes, matchList, placeItem, placeText } from "./matches.ts";

export interface RuleSearch {
  readonly rules: readonly string[];
  readonly scopes: readonly string[];
  readonly pid: number | undefined;
  readonly max: number;
  readonly volumes: VolumesBeside | undefined;
}

/** Of a match, so many strings are printed. */
const MOST_STRINGS = 5;

/** search --rules: what rules match, each with its place and strings. What is loaded for it is loaded here. */
export async function* searchRules(
  archive: OpenArchive,
  { rules: paths, scopes, pid, max, volumes }: RuleSearch,
  problems: UserError[],
  call: Call,
): AsyncGenerator<Piece, Outcome> {
  const { ruleFiles } = await import("../../yara/files.ts");
  const { Rules } = await import("../../yara/rules.ts");
  const { scanArchive } = await import("../../flows/examine/rules/scan.ts");
  using rules = new Rules(await ruleFiles(paths));
  for (const warning of rules.warnings.slice(0, 3)) call.emit({ kind: "warning", text: say`${warning.split("\n", 1)[0] ?? ""}` });
  const items: object[] = [];
  let more = false;
  const settings = {
    rules,
    scopes: new Set(scopes.filter((scope) => scope === "memory" || scope === "files")),
    pid,
    signal: call.signal,
    volumes,
    progress: activity(call),
    tell: (problem: UserError) => {
      if (!problems.some(({ message }) => message === problem.message)) problems.push(problem);
    },
  };
  for await (const found of scanArchive(archive, settings)) {
    if (max !== 0 && items.length === max) {
      more = true;
      break;
    }
    items.push(item(found));
    yield { text: line(found) };
  }
  return yield* matchList(call, { scopes: [...settings.scopes], items, count: items.length, max: more ? max : undefined, problems });
}

/** Strings have an address in memory, an offset in a file. */
function item({ rule, tags, meta, location, strings }: RuleFinding): object {
  const at = (address: bigint) => (location.in === "memory" ? { address: hex(address) } : { offset: Number(address) });
  return {
    rule,
    tags,
    meta: Object.fromEntries(Object.entries(meta).map(([key, value]) => [key, typeof value === "bigint" ? Number(value) : value])),
    in: location.in,
    ...placeItem(location),
    strings: strings.map(({ identifier, address, length, bytes }) => ({ identifier, ...at(address), length, match: escapeBytes(bytes) })),
  };
}

function line({ rule, tags, location, strings }: RuleFinding): Phrase {
  const shown = strings
    .slice(0, MOST_STRINGS)
    .map(({ identifier, address, bytes }) => say`${identifier} at ${hex(address)} ${whole(escapeBytes(bytes))}`);
  const more = strings.length > MOST_STRINGS ? say` and ${strings.length - MOST_STRINGS} more` : say``;
  return say`${rule}${tags.length === 0 ? "" : ` [${tags.join(" ")}]`} ${placeText(location)}${shown.length === 0 ? say`` : say`: ${joined(shown, ", ")}${more}`}`;
}
