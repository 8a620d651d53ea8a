import type { DiagnosisItem } from "../model/diagnosis.ts";
import { phraseOf, plain, type Text } from "../model/phrase.ts";
import type { Finding, Purpose } from "./finding.ts";

const PURPOSES: readonly Purpose[] = ["checkpoint", "copy", "restore"];
/** Places that a message names. */
const NAMED = 5;

/** Findings as one screen: what is the same of several nodes or containers is one line, and the last lines answer what was asked. */
export function summarize(findings: readonly Finding[]): DiagnosisItem[] {
  return [...merged(findings), ...PURPOSES.map((purpose) => answer(purpose, findings))];
}

function merged(findings: readonly Finding[]): DiagnosisItem[] {
  const groups = Map.groupBy(findings, ({ check, status, message, of, leftBytes }) =>
    [check, status, leftBytes === undefined ? textOf(message) : "", of === undefined].join("\0"),
  );
  return [...groups.values()].map((group) => {
    const least = group.reduce((one, other) => ((other.leftBytes ?? 0) < (one.leftBytes ?? 0) ? other : one));
    const { check, status, message, fix, of = "" } = least;
    const places = placesOf(group);
    const text = textOf(message);
    const said = group.some((other) => textOf(other.message) !== text) ? `${text} (the least, on ${of})` : text;
    return { check, status, message: places === "" ? said : `${places}: ${said}`, ...(fix === undefined ? {} : { fix: textOf(fix) }) };
  });
}

function textOf(text: Text): string {
  return plain(phraseOf(text));
}

function placesOf(findings: readonly Finding[]): string {
  const places = [...new Set(findings.flatMap(({ of }) => of ?? []))];
  return places.length <= NAMED ? places.join(", ") : `${places.slice(0, NAMED).join(", ")} and ${places.length - NAMED} more`;
}

function answer(purpose: Purpose, findings: readonly Finding[]): DiagnosisItem {
  const deciding = findings.filter(({ decides }) => decides.includes(purpose));
  const of = (status: Finding["status"]): Finding[] => deciding.filter((finding) => finding.status === status);
  const names = (some: readonly Finding[]): string => [...new Set(some.map(({ check }) => check))].join(", ");
  const denied = [...of("fail"), ...of("warn").filter(({ denies }) => denies === true)];
  if (denied.length > 0) {
    const where = placesOf(denied);
    const status = of("fail").length > 0 ? "fail" : "warn";
    return { check: purpose, status, message: `will not work${where === "" ? "" : ` (${where})`}: ${names(denied)}` };
  }
  if (of("warn").length > 0) return { check: purpose, status: "warn", message: `might not work: ${names(of("warn"))}` };
  if (deciding.every(({ of: place }) => place === undefined))
    return { check: purpose, status: "skip", message: "unknown: no node was asked" };
  if (of("skip").some(({ onlyDeep }) => onlyDeep !== true))
    return { check: purpose, status: "ok", message: `no obstacle was found; what could not be seen: ${names(of("skip"))}` };
  return { check: purpose, status: "ok", message: of("skip").length > 0 ? "will work, as far as can be seen without --deep" : "will work" };
}
