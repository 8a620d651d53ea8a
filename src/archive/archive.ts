import type { Source } from "../model/source.ts";

/** What a header of the archive says of a member. */
export interface Member {
  /** Relative, with "/" and without "." or "..": members whose names are anything else are listed apart, as hostile. */
  readonly name: string;
  readonly type: "file" | "directory" | "link" | "symlink" | "other";
  /** Of its data, in bytes. */
  readonly size: number;
  readonly mode: number;
  /** Target of a link or symlink, as it stands there. */
  readonly target: string;
}

/** An index over an archive: its members are found by seeking, never unpacked. */
export interface Archive {
  readonly members: ReadonlyMap<string, Member>;
  /** The bytes of a file member. Throws a UserError where there is no such file. */
  open(name: string): Source;
}
