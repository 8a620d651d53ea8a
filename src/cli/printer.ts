import { once } from "node:events";
import { Chalk } from "chalk";
import type { Event } from "../model/context.ts";
import { Interrupted, usageError } from "../model/error.ts";
import { say, styled, type Phrase, type Table } from "../model/phrase.ts";
import type { Outcome, Piece } from "../model/report.ts";
import { jsonPieces, yamlPieces } from "./document.ts";
import { columnsOf, errorText, stackText } from "./errors.ts";
import { escapeJson } from "./escape.ts";
import { Progress } from "./progress.ts";
import { Renderer } from "./render.ts";
import type { exchangeLog } from "./requestlog.ts";

export interface PrinterOptions {
  readonly stdout: NodeJS.WriteStream;
  readonly stderr: NodeJS.WriteStream;
  readonly env: NodeJS.ProcessEnv;
  /** Of -o; undefined is the default form. */
  readonly format: string | undefined;
  readonly color: string | undefined;
  readonly quiet: boolean;
  /** Of -v. */
  readonly level: number;
  /** How requests are logged; undefined where they are not. */
  readonly exchangeLog: typeof exchangeLog | undefined;
}

/** Of a document, so many characters are written at once. */
const AT_ONCE = 64 << 10;

/** The one thing that prints: results on stdout, everything else on stderr. */
export class Printer {
  readonly #options: PrinterOptions;
  readonly #out: Renderer;
  readonly #err: Renderer;
  readonly #paint: (label: string) => string;
  readonly #progress: Progress;
  /** Columns that the terminal had no room for. */
  readonly #left = new Set<string>();

  constructor(options: PrinterOptions) {
    this.#options = options;
    const { stdout } = options;
    // What goes to a pipe, and what -o wide asks for, is whole.
    const fits = stdout.isTTY && options.format === undefined;
    this.#out = new Renderer(chalkFor(stdout, options), () => (fits ? columnsOf(stdout) : Infinity));
    const chalk = chalkFor(options.stderr, options);
    const { stderr, env } = options;
    this.#err = new Renderer(chalk, () => columnsOf(stderr));
    this.#paint = chalk.bold.red;
    const live = stderr.isTTY && env["TERM"] !== "dumb";
    this.#progress = new Progress({ stderr, renderer: this.#err, live, now: Date.now });
  }

  async piece({ text, name, document, bytes, error }: Piece): Promise<void> {
    const { format } = this.#options;
    if (error !== undefined) this.error(error);
    if (bytes !== undefined) {
      await this.#raw(bytes);
    } else if (format === "name") {
      if (name !== undefined) await this.#result(this.#out.phrase({ literals: ["", ""], values: [name] }));
    } else if (format === "json" || format === "yaml") {
      if (document !== undefined) await this.#result(escapeJson(JSON.stringify(document)));
    } else if (text !== undefined) {
      await this.#text(text);
    }
  }

  async outcome({ document }: Outcome): Promise<void> {
    this.#progress.stop();
    const left = say`not shown: ${[...this.#left].join(", ")} (-o wide shows all columns)`;
    if (this.#left.size > 0) this.event({ kind: "hint", text: { ...left, style: "dim" } });
    if (document === undefined) return;
    if (this.#options.format === "json") await this.#document(jsonPieces(document));
    if (this.#options.format === "yaml") await this.#document(yamlPieces(document));
  }

  error(error: unknown): void {
    this.#aside(errorText(error, this.#paint, this.#options.stderr));
    if (this.#options.level >= 9) this.#aside(stackText(error));
  }

  event(event: Event): void {
    const { quiet, level, exchangeLog: log } = this.#options;
    switch (event.kind) {
      case "activity":
        if (!quiet) this.#progress.activity(event.lane, event.text, event.lead);
        break;
      case "idle":
        this.#progress.idle(event.lane);
        break;
      case "warning":
        this.#aside(this.#err.phrase(say`${styled("warn", say`warning:`)} ${event.text}`));
        break;
      case "hint":
        if (!quiet) this.#aside(this.#err.phrase(event.text));
        break;
      case "request":
        if (log !== undefined) this.#aside(log(event.exchange, level, new Date()));
    }
  }

  /** Before a prompt draws, and at the end. */
  stopProgress(): void {
    this.#progress.stop();
  }

  async #text(text: Phrase | Table): Promise<void> {
    if (!("columns" in text)) return await this.#result(this.#out.phrase(text));
    const { text: lines, left } = this.#out.tableAndRest(text);
    await this.#result(lines);
    for (const column of left) this.#left.add(column);
  }

  /** Where stdout cannot be written, the signal aborts the command, which cleans up. */
  async #result(text: string): Promise<void> {
    this.#progress.clear();
    await this.#write(text.endsWith("\n") ? text : `${text}\n`);
  }

  async #document(pieces: Iterable<string> | AsyncIterable<string>): Promise<void> {
    let text = "";
    for await (const piece of pieces) {
      text += piece;
      if (text.length < AT_ONCE) continue;
      if (!(await this.#write(text))) return;
      text = "";
    }
    await this.#write(text);
  }

  /** Returns when more can be written; false where nothing can be written any more. */
  async #write(data: string | Uint8Array): Promise<boolean> {
    const { stdout } = this.#options;
    return stdout.writable && (stdout.write(data) || (await drained(stdout)));
  }

  /** Bytes of an archive may hold what a terminal obeys: it never gets them. */
  async #raw(bytes: AsyncIterable<Uint8Array>): Promise<void> {
    const { stdout } = this.#options;
    if (stdout.isTTY) throw usageError("binary output is not written to a terminal", "redirect it to a file or a pipe");
    this.#progress.clear();
    for await (const piece of bytes) {
      if (!(await this.#write(piece))) throw new Interrupted("SIGPIPE");
    }
    await new Promise((done) => stdout.write("", done));
  }

  #aside(text: string): void {
    this.#progress.clear();
    this.#options.stderr.write(`${text}\n`);
  }
}

/** Until more can be written; false where nothing can be written any more. cmd/ reports why. */
async function drained(stdout: NodeJS.WriteStream): Promise<boolean> {
  return await once(stdout, "drain").then(
    () => true,
    () => false,
  );
}

function chalkFor(stream: NodeJS.WriteStream, { color, env }: PrinterOptions): InstanceType<typeof Chalk> {
  if (color === "never") return new Chalk({ level: 0 });
  if (color === "always") return new Chalk({ level: 1 });
  const wanted = stream.isTTY && !env["NO_COLOR"] && env["TERM"] !== "dumb";
  return new Chalk({ level: wanted ? 1 : 0 });
}
