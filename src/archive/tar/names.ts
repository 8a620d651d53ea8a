import { isUtf8 } from "node:buffer";

/** Linux's PATH_MAX: nothing longer can be a file's name. */
const LONGEST_NAME = 4096;

/** A member's name, cleaned of "./" and doubled slashes; "" is the archive's own root. `why` is there where it is hostile. */
export interface MemberName {
  readonly name: string;
  readonly why?: string;
}

export function memberName(raw: Buffer): MemberName {
  const text = raw.toString("utf8");
  if (raw.length > LONGEST_NAME) return { name: `${text.slice(0, 80)}…`, why: `is ${raw.length} bytes long` };
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  if (/[\u0000-\u001f\u007f]/.test(text)) return { name: text, why: "has control characters in it" };
  if (!isUtf8(raw)) return { name: text, why: "is not UTF-8" };
  if (text.startsWith("/")) return { name: text, why: "is absolute" };
  if (!/(^|\/)\.{0,2}(\/|$)/.test(text)) return { name: text };
  const parts = text.split("/").filter((part) => part !== "" && part !== ".");
  return parts.includes("..") ? { name: text, why: 'has ".." in it' } : { name: parts.join("/") };
}
