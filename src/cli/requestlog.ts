import { STATUS_CODES } from "node:http";
import type { Exchange } from "../model/context.ts";
import { escapeText } from "./escape.ts";

const SECRET = /^(authorization|proxy-authorization|cookie|set-cookie)$/i;

/** One exchange as kubectl logs it: a line from -v=6 on, headers from -v=8 on, credentials masked. */
export function exchangeLog(exchange: Exchange, level: number, now: Date): string {
  const { method, url, status, milliseconds } = exchange;
  const answer = status === undefined ? "" : `${status} ${STATUS_CODES[status] ?? ""}`.trim();
  const outcome = `status="${answer}" milliseconds=${Math.round(milliseconds)}`;
  const target = `verb="${method}" url="${escapeText(url)}"`;
  if (level < 8) return `${prefix(now)} "Response" ${target} ${outcome}`;
  return [
    `${prefix(now)} "Request" ${target} headers=<`,
    ...headerLines(exchange.requestHeaders),
    " >",
    `${prefix(now)} "Response" status="${answer}" headers=<`,
    ...headerLines(exchange.responseHeaders ?? {}),
    ` > milliseconds=${Math.round(milliseconds)}`,
  ].join("\n");
}

function headerLines(headers: Readonly<Record<string, string | readonly string[] | undefined>>): string[] {
  return Object.entries(headers)
    .flatMap(([name, value]) => [value ?? []].flat().map((one) => ({ name, one })))
    .map(({ name, one }) => `\t${name}: ${escapeText(SECRET.test(name) ? masked(one) : one)}`)
    .sort();
}

/** The scheme stays, the secret does not: `Bearer <masked>`. */
function masked(value: string): string {
  const scheme = /^(Bearer|Basic|Negotiate) /.exec(value)?.[0] ?? "";
  return `${scheme}<masked>`;
}

/** klog's prefix: I1124 07:28:03.509170. */
function prefix(now: Date): string {
  const two = (value: number): string => String(value).padStart(2, "0");
  const day = `${two(now.getMonth() + 1)}${two(now.getDate())}`;
  const time = `${two(now.getHours())}:${two(now.getMinutes())}:${two(now.getSeconds())}`;
  return `I${day} ${time}.${String(now.getMilliseconds()).padStart(3, "0")}000`;
}
