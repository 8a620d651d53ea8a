import { UserError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import type { Archive, Member } from "../archive.ts";

/** The same archive with other names: `rename` gives a member's, or undefined for one that is not of it. */
export function renamed<A extends Archive>(archive: A, rename: (name: string) => string | undefined, more: Partial<A> = {}): A {
  const members = new Map<string, Member>();
  const originals = new Map<string, string>();
  for (const [original, member] of archive.members) {
    const name = rename(original);
    if (name === undefined || name === "") continue;
    archive.budget.keep(original, 1, name.length);
    members.set(name, { ...member, name });
    originals.set(name, original);
  }
  return {
    ...archive,
    ...more,
    members,
    open(name) {
      const original = originals.get(name);
      if (original === undefined) throw new UserError({ reason: "NoSuchMember", message: say`there is no ${name} in the archive` });
      return archive.open(original);
    },
  };
}
