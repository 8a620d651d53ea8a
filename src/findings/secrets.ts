import type { Phrase, PhraseValue } from "../model/phrase.ts";

/** A kind of secret that is known by its form. */
export interface SecretKind {
  readonly name: string;
  /** What each of them begins with: at least four bytes. */
  readonly prefixes: readonly string[];
  /** The whole of it, from its beginning. */
  readonly pattern: RegExp;
}

/** By the forms that their makers document. */
export const SECRET_KINDS: readonly SecretKind[] = [
  {
    name: "private key",
    prefixes: ["-----BEGIN "],
    pattern:
      /-----BEGIN [A-Z0-9 ]{0,24}PRIVATE KEY-----\s{1,4}(?:[\w-]{1,40}: .{0,200}\s{1,4}){0,4}[A-Za-z0-9+/=\s]{40,8000}(?:-----END [A-Z0-9 ]{0,24}PRIVATE KEY-----)?/,
  },
  { name: "age identity", prefixes: ["AGE-SECRET-KEY-"], pattern: /AGE-SECRET-KEY-(?:PQ-)?1[A-Z0-9]{50,}/ },
  { name: "AWS access key", prefixes: ["AKIA", "ASIA"], pattern: /(?:AKIA|ASIA)[A-Z2-7]{16}(?![A-Za-z0-9])/ },
  { name: "Google API key", prefixes: ["AIza"], pattern: /AIza[\w-]{35}(?![\w-])/ },
  {
    name: "GitHub token",
    prefixes: ["ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_"],
    pattern: /(?:gh[pousr]_[A-Za-z0-9]{36,255}|github_pat_\w{22,255})/,
  },
  { name: "GitLab token", prefixes: ["glpat-"], pattern: /glpat-[\w-]{20,}/ },
  { name: "Slack token", prefixes: ["xoxb-", "xoxp-", "xoxa-", "xapp-"], pattern: /xox[abp]-[\w-]{20,}|xapp-[\w-]{20,}/ },
  { name: "Stripe key", prefixes: ["sk_live_", "rk_live_"], pattern: /[rs]k_live_[A-Za-z0-9]{20,}/ },
  { name: "Anthropic or OpenAI key", prefixes: ["sk-ant-", "sk-proj-"], pattern: /sk-(?:ant|proj)-[\w-]{20,}/ },
  { name: "npm token", prefixes: ["npm_"], pattern: /npm_[A-Za-z0-9]{36}(?![A-Za-z0-9])/ },
  { name: "Vault token", prefixes: ["hvs."], pattern: /hvs\.[\w-]{24,}/ },
  {
    name: "JSON Web Token",
    prefixes: ["eyJhbGci", "eyJ0eXAi", "eyJraWQi"],
    pattern: /eyJ(?:hbGci|0eXAi|raWQi)[\w-]{5,300}\.eyJ[\w-]{5,8000}\.[\w-]{10,}/,
  },
];

/** Variables and flags whose value is a secret, whatever it looks like. */
const SECRET_NAME =
  /(?:^|[_.-]|\b)(?:pass(?:word|wd|phrase)?|pwd|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credentials?|auth|cookie)(?:[_.-]|\b|$)|(?:password|secret|token|apikey)$/i;

export function isSecretName(name: string): boolean {
  return SECRET_NAME.test(name) && !/^(OLD)?PWD$/.test(name);
}

const MASKED = "<masked>";

/** In the middle of any text: what stands before is kept. */
const IN_TEXT: readonly (readonly [pattern: RegExp, kept: string])[] = [
  ...SECRET_KINDS.map(({ pattern }): [RegExp, string] => [new RegExp(pattern.source, "g"), MASKED]),
  // A password in a URL; who it is of stays.
  [/(:\/\/[^\s/:@]{0,100}:)[^\s/@]{1,200}(?=@)/g, `$1${MASKED}`],
  [/(\b(?:bearer|basic)\s{1,4})[\w.~+/=-]{8,}/gi, `$1${MASKED}`],
  // NAME=value, --name=value, "name": "value", as far as the name says what it is.
  [
    /((?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|access[_-]?key|credentials?)[\w.-]{0,64}["']?\s?[=:]\s?["']?)(?!<masked>)[^\s"',;&]{1,4096}/gi,
    `$1${MASKED}`,
  ],
  [/((?:_PWD|PASS|AUTH|COOKIE|_KEY)=)(?!<masked>)[^\s"']{1,4096}/g, `$1${MASKED}`],
];

/** A text without the secrets in it that can be told by their form or name. */
export function masked(text: string): string {
  if (text.length < 6) return text;
  return IN_TEXT.reduce((rest, [pattern, kept]) => rest.replace(pattern, kept), text);
}

/** Arguments of a program: what follows "--password" too. */
export function maskedWords(words: readonly string[]): string[] {
  return words.map((word, index) => {
    const before = words[index - 1] ?? "";
    const isValue = /^--?[\w-]+$/.test(before) && isSecretName(before.replace(/^-+/, "")) && !word.startsWith("-");
    return isValue ? MASKED : masked(word);
  });
}

/** The value of a variable. */
export function maskedValue(name: string, value: string): string {
  return isSecretName(name) && value !== "" ? MASKED : masked(value);
}

/** A phrase whose values are masked. */
export function maskedPhrase(phrase: Phrase): Phrase {
  return { ...phrase, values: phrase.values.map(maskedPart) };
}

function maskedPart(value: PhraseValue): PhraseValue {
  if (typeof value === "number") return value;
  if (typeof value === "string") return masked(value);
  return "word" in value ? { word: masked(value.word) } : maskedPhrase(value);
}

/** Any document: every text in it is masked. Arguments (`args`) and variables (`env`) by what they are called too. */
export function maskedDocument<T>(value: T): T {
  return maskedAny(value, "") as T;
}

function maskedAny(value: unknown, key: string): unknown {
  if (typeof value === "string") return masked(value);
  if (Array.isArray(value)) {
    if (key === "args" && value.every((word) => typeof word === "string")) return maskedWords(value);
    return value.map((item) => (key === "env" ? maskedVariable(item) : maskedAny(item, "")));
  }
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, inside]) => [name, maskedAny(inside, name)]));
}

function maskedVariable(item: unknown): unknown {
  const { name = "", value } = item as { readonly name?: string; readonly value?: string };
  return value === undefined ? { name } : { name, value: maskedValue(name, value) };
}
