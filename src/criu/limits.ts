/**
 * What an entry of an image may ask of this program, before it is decoded. Real images stay far below. What a command keeps of all of
 * them together is the archive's budget's.
 */

/** Bytes of an entry. The longest real ones describe the mappings of a process: 40 bytes each. */
export const MAX_ENTRY_BYTES = 32 * 1024 * 1024;

/** Messages inside an entry, and numbers in its lists. */
export const MAX_ENTRY_ITEMS = 300_000;

/** Mappings of a process: Linux allows 65,530 where nobody has raised it. */
export const MAX_MAPPINGS = 150_000;

/** Bytes of a name. Linux's paths end at 4096. */
export const MAX_TEXT_BYTES = 64 * 1024;

/** Bytes of the arguments or the environment of a process: Linux allows 6 MiB for both. */
export const MAX_ARGUMENT_BYTES = 8 * 1024 * 1024;
