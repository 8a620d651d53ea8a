import { usageError } from "../model/error.ts";
import { say } from "../model/phrase.ts";

/** The URL of --timestamp. Throws a usage error. */
export function parseAuthority(given: string, name: string): URL {
  const url = URL.canParse(given) ? new URL(given) : undefined;
  if (url !== undefined && /^https?:$/.test(url.protocol)) return url;
  throw usageError(say`invalid value "${given}" for ${name}: use the http or https URL of an RFC 3161 authority`);
}
