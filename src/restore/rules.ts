import { list, object, string } from "../model/json.ts";
import { say, type Phrase } from "../model/phrase.ts";

/** Something that a pod may do or use beyond its own containers. */
export interface Power {
  /** "container web is privileged". */
  readonly what: Phrase;
  /** Whether it leads out of a sandbox that has neither network nor token. */
  readonly escapes: boolean;
}

/** Where in a pod a value stands. */
export interface Place {
  /** "container web", "its volume data", "it" for the pod. */
  readonly who: Phrase;
  /** "spec.containers[web].image". */
  readonly path: string;
}

/** What a value of the pod's API gives power over; nothing where a plain pod may have it. */
export type Rule = (value: unknown, place: Place) => Power[];

export function named(what: Phrase): Power {
  return { what, escapes: false };
}

export function escaping(what: Phrase): Power {
  return { what, escapes: true };
}

/** Whether the API takes it as not set. */
function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === "" || value === false || value === 0) return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

export const fine: Rule = () => [];

/** An object with these fields; any other that is set is a power of which nothing is known. */
export function fields(rules: Readonly<Record<string, Rule>>): Rule {
  return (value, { who, path }) =>
    Object.entries(object(value)).flatMap(([field, of]) => {
      const at = path === "" ? field : `${path}.${field}`;
      const rule = Object.hasOwn(rules, field) ? rules[field] : undefined;
      if (rule !== undefined) return rule(of, { who, path: at });
      return isEmpty(of) ? [] : [escaping(say`it sets ${at}, which a plain pod does not`)];
    });
}

/** A list. Its items are called by their names where `called` says how. */
export function each(rule: Rule, called?: (name: string) => Phrase): Rule {
  return (value, { who, path }) =>
    list(value).flatMap((item, index) => {
      const name = string(object(item)["name"]);
      return rule(item, { who: called === undefined ? who : called(name), path: `${path}[${name === "" ? index : name}]` });
    });
}

/** Whatever is set here is a power. */
export function power(what: (value: unknown, place: Place) => Phrase): Rule {
  return (value, place) => (isEmpty(value) ? [] : [named(what(value, place))]);
}

/** Whatever is set here leads out of a sandbox. */
export function escape(what: (value: unknown, place: Place) => Phrase): Rule {
  return (value, place) => (isEmpty(value) ? [] : [escaping(what(value, place))]);
}
