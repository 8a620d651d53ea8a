import { nameText } from "../../model/name.ts";

/** Linux's PATH_MAX: nothing longer can be a file's name. */
const LONGEST_NAME = 4096;

/** A member's name, cleaned of "./" and doubled slashes; "" is the archive's own root. `why` is there where it is hostile. */
export interface MemberName {
  readonly name: string;
  readonly why?: string;
}

export function memberName(raw: Buffer): MemberName {
  if (raw.length > LONGEST_NAME) return { name: `${nameText(raw.subarray(0, 80))}…`, why: `is ${raw.length} bytes long` };
  const text = nameText(raw);
  if (text.startsWith("/")) return { name: text, why: "is absolute" };
  if (!/(^|\/)\.{0,2}(\/|$)/.test(text)) return { name: text };
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? { name: text, why: 'has ".." in it' } : { name: parts.join("/") };
}
