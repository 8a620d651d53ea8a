/** One way to log in that a registry offers (RFC 9110, WWW-Authenticate). */
export interface Challenge {
  /** In lower case: "bearer", "basic". */
  readonly scheme: string;
  readonly parameters: Readonly<Record<string, string>>;
}

const TOKEN = String.raw`[\w!#$%&'*+.^\`|~-]+`;
const PARAMETER = new RegExp(String.raw`^(${TOKEN})\s*=\s*(?:"((?:[^"\\]|\\.)*)"|(${TOKEN}))\s*,?\s*`);
const SCHEME = new RegExp(String.raw`^(${TOKEN})(?:\s+|$|(?=,))`);

/** All that is offered; what is malformed ends the list. */
export function parseChallenges(headers: string | readonly string[] | undefined): Challenge[] {
  return [headers ?? []].flat().flatMap(inOneHeader);
}

function inOneHeader(header: string): Challenge[] {
  const challenges: Challenge[] = [];
  let rest = header.trim();
  while (rest !== "") {
    const scheme = SCHEME.exec(rest);
    if (scheme === null) break;
    rest = rest.slice(scheme[0].length);
    const parameters: Record<string, string> = {};
    for (let match = PARAMETER.exec(rest); match !== null; match = PARAMETER.exec(rest)) {
      parameters[(match[1] ?? "").toLowerCase()] = match[2]?.replaceAll(/\\(.)/g, "$1") ?? match[3] ?? "";
      rest = rest.slice(match[0].length);
    }
    challenges.push({ scheme: (scheme[1] ?? "").toLowerCase(), parameters });
    rest = rest.replace(/^[\s,]+/, "");
  }
  return challenges;
}
