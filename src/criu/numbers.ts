import { damaged } from "./problems.ts";

/** A count or size of an image as a number. Throws a UserError where it is too large to be one. */
export function count(value: bigint, image: string): number {
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < 0n) throw damaged(image, `${value} is no size or count`);
  return Number(value);
}

/** Permissions as chmod takes them. */
export function octal(mode: number): string {
  return `0${(mode & 0o7777).toString(8).padStart(3, "0")}`;
}

/** Addresses and kernel identifiers as the documents have them: "0x7f…". */
export function hex(value: bigint | number): string {
  return `0x${value.toString(16)}`;
}
