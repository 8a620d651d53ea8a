import type { UserError } from "../../model/error.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import type { Entry } from "./options.ts";

type Type = "string" | "boolean" | "base64" | "strings" | "map" | "strings by name" | "lists by name" | "mappings";

/** The fields that are known here, and their types. Others are nobody's matter. */
export interface Schema {
  readonly [field: string]: Type | Schema;
}

/** https://kubernetes.io/docs/reference/config-api/kubeconfig.v1/ */
export const CLUSTER: Schema = {
  server: "string",
  "tls-server-name": "string",
  "insecure-skip-tls-verify": "boolean",
  "certificate-authority": "string",
  "certificate-authority-data": "base64",
  "proxy-url": "string",
  "disable-compression": "boolean",
  extensions: "mappings",
};

export const USER: Schema = {
  "client-certificate": "string",
  "client-certificate-data": "base64",
  "client-key": "string",
  "client-key-data": "base64",
  token: "string",
  tokenFile: "string",
  as: "string",
  "as-uid": "string",
  "as-groups": "strings",
  "as-user-extra": "lists by name",
  username: "string",
  password: "string",
  "auth-provider": { name: "string", config: "strings by name" },
  exec: {
    command: "string",
    args: "strings",
    env: "mappings",
    apiVersion: "string",
    installHint: "string",
    provideClusterInfo: "boolean",
    interactiveMode: "string",
  },
};

export const CONTEXT: Schema = { cluster: "string", user: "string", namespace: "string" };

/**
 * The entry without its nulls, which are as if not there. Throws where a field is of another type: as something else it might make
 * somebody else of a user, or nobody.
 */
export function ensureTyped(entry: Entry, schema: Schema, place: string, invalid: (why: Phrase) => UserError): Entry {
  const present = Object.fromEntries(Object.entries(entry).filter(([, value]) => value !== null && value !== undefined));
  for (const [name, type] of Object.entries(schema)) {
    const value = present[name];
    if (value === undefined) continue;
    const where = `${place}.${name}`;
    if (typeof type === "object") {
      if (!isMap(value)) throw invalid(say`${where} is not a mapping`);
      present[name] = ensureTyped(value, type, where, invalid);
    } else if (!CHECKS[type](value)) throw invalid(say`${where} is not ${WORDS[type]}`);
  }
  return present;
}

const isString = (value: unknown): boolean => typeof value === "string";
const isStrings = (value: unknown): boolean => Array.isArray(value) && value.every(isString);

function isMap(value: unknown): value is Entry {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

const CHECKS: Readonly<Record<Type, (value: unknown) => boolean>> = {
  string: isString,
  boolean: (value) => typeof value === "boolean",
  base64: (value) => typeof value === "string" && /^[A-Za-z0-9+/\s]*={0,2}\s*$/.test(value),
  strings: isStrings,
  map: isMap,
  "strings by name": (value) => isMap(value) && Object.values(value).every((one) => one === null || isString(one)),
  "lists by name": (value) => isMap(value) && Object.values(value).every((one) => one === null || isStrings(one)),
  mappings: (value) => Array.isArray(value) && value.every(isMap),
};

const WORDS: Readonly<Record<Type, string>> = {
  string: "a string: write it in quotes",
  boolean: "true or false",
  base64: "base64",
  strings: "a list of strings",
  map: "a mapping",
  "strings by name": "a mapping of strings",
  "lists by name": "a mapping of lists of strings",
  mappings: "a list of mappings",
};
