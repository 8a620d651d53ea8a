import { usageError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";
import { parseCount, parseDuration } from "../../model/units.ts";

/** What a flag looks like on a command line: all that parsing, help and completion know of it. */
export interface FlagShape {
  readonly name: string;
  readonly short?: string;
  /** "optional" values only come with "="; "values" may be repeated. */
  readonly takes: "nothing" | "value" | "values" | "optional";
  /** What stands for the value in help: NAME, D, FILE. */
  readonly value?: string;
  readonly choices?: readonly string[];
  readonly help: string;
  /** Of a flag that several verbs share; a verb's own flags have none. */
  readonly group?: string;
}

/** What the command line has of a flag; undefined where it is not given. */
export type Given = string | boolean | readonly string[] | undefined;

/** A flag whose value has a type. Its name is its key in the flags of a verb. Flags of one name take the same in every verb. */
export interface Flag<T> extends Omit<FlagShape, "name"> {
  /** `name` is "--timeout", for errors. Throws a usage error. */
  readonly parse: (given: Given, name: string) => T;
}

/** The flags of a verb or a group by their names, without dashes. */
export type FlagSet = Readonly<Record<string, Flag<unknown>>>;

/** What a verb gets of its flags: a misspelt name does not compile. */
export type Values<F extends FlagSet> = { readonly [Name in keyof F]: F[Name] extends Flag<infer T> ? T : never };

/** The raw flags of one call: what a parser of command lines has found. */
export type GivenFlags = ReadonlyMap<string, Given>;

/** Throws a usage error that names the flag. */
export function valuesOf<F extends FlagSet>(flags: F, given: GivenFlags): Values<F> {
  const values = Object.entries(flags).map(([name, flag]) => [name, flag.parse(given.get(name), `--${name}`)]);
  return Object.fromEntries(values) as Values<F>;
}

export function shapesOf(flags: FlagSet): FlagShape[] {
  return Object.entries(flags).map(([name, { parse: _parse, ...shape }]) => ({ name, ...shape }));
}

interface Description {
  readonly short?: string;
  readonly value: string;
  readonly help: string;
}

/** Given or not. */
export function on(help: string, short?: string): Flag<boolean> {
  return { takes: "nothing", help, ...(short === undefined ? {} : { short }), parse: (given) => given === true };
}

/** Given twice, the last one counts, as for all flags but lists. */
export function text(description: Description): Flag<string | undefined> {
  return { ...description, takes: "value", parse: textOf };
}

/** All that were given, in their order. */
export function list(description: Description): Flag<readonly string[]> {
  return { ...description, takes: "values", parse: (given) => (Array.isArray(given) ? (given as readonly string[]) : []) };
}

/** `--copy` or `--copy=DEST`: "" where no value was given. */
export function optional(description: Description): Flag<string | undefined> {
  return { ...description, takes: "optional", parse: textOf };
}

export function choice<const C extends string>(
  choices: readonly C[],
  { value = choices.join("|"), ...description }: Omit<Description, "value"> & { readonly value?: string },
): Flag<C | undefined> {
  return { ...description, value, choices, takes: "value", parse: (given, name) => oneOf(choices, textOf(given), name) };
}

/** Some of them, in the order that they were given in. */
export function choices<const C extends string>(all: readonly C[], description: Omit<Description, "value">): Flag<readonly C[]> {
  return {
    ...description,
    value: all.join("|"),
    choices: all,
    takes: "values",
    parse: (given, name) => (Array.isArray(given) ? (given as readonly string[]) : []).flatMap((one) => oneOf(all, one, name) ?? []),
  };
}

/** A value in a form of its own. `parse` throws a usage error that begins with the name that it is given. */
export function parsed<T>(parse: (text: string, name: string) => T, description: Description): Flag<T | undefined> {
  return {
    ...description,
    takes: "value",
    parse: (given, name) => {
      const value = textOf(given);
      return value === undefined ? undefined : parse(value, name);
    },
  };
}

/** Milliseconds. */
export function duration(help: string): Flag<number | undefined> {
  return parsed(parseDuration, { value: "D", help });
}

/** A whole number of at least 1, or `least`. */
export function count({ least, ...description }: Description & { readonly least?: number }): Flag<number | undefined> {
  return parsed((value, name) => parseCount(value, name, least), description);
}

/** The same flags under a heading of their own. */
export function group<F extends FlagSet>(heading: string, flags: F): F {
  return Object.fromEntries(Object.entries(flags).map(([name, flag]) => [name, { ...flag, group: heading }])) as F;
}

function textOf(given: Given): string | undefined {
  return typeof given === "string" ? given : undefined;
}

function oneOf<C extends string>(choices: readonly C[], given: string | undefined, name: string): C | undefined {
  const found = choices.find((one) => one === given);
  if (given !== undefined && found === undefined)
    throw usageError(say`invalid value "${given}" for ${name}: use one of ${choices.join(", ")}`);
  return found;
}
