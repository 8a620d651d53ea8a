// A real pseudo-terminal (util-linux's script) around a command, and the screen that its user sees (xterm).
import { execFileSync, spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";
import xterm from "@xterm/headless";
import { environment, pluginCommand } from "./harness.ts";

export interface Size {
  readonly columns: number;
  readonly rows: number;
}

export class Terminal {
  readonly #child;
  readonly #screen;
  #raw = "";
  #device = "";
  readonly #ended: Promise<number | null>;

  constructor(args: readonly string[], { columns, rows }: Size = { columns: 100, rows: 30 }, env: NodeJS.ProcessEnv = {}, cwd?: string) {
    const command = [...pluginCommand(), ...args].map((word) => `'${word.replaceAll("'", String.raw`'\''`)}'`).join(" ");
    // The device's name comes first, for resizing; its line is taken off the screen again.
    const script = `tty >&2; stty rows ${rows} cols ${columns}; exec ${command}`;
    this.#child = spawn("script", ["-qefc", script, "/dev/null"], {
      env: environment({ TERM: "xterm-256color", SHELL: "/bin/sh", ...env }),
      stdio: ["pipe", "pipe", "inherit"],
      cwd,
    });
    this.#screen = new xterm.Terminal({ cols: columns, rows, allowProposedApi: true });
    this.#child.stdout.on("data", (part: Buffer) => {
      let text = part.toString();
      if (this.#device === "") {
        this.#device = /\/dev\/pts\/\d+/.exec(text)?.[0] ?? "";
        text = text.replace(/\/dev\/pts\/\d+\r\n/, "");
      }
      this.#raw += text;
      this.#screen.write(text);
    });
    this.#ended = new Promise((done) => this.#child.on("close", done));
  }

  /** Every byte that was drawn. */
  get raw(): string {
    return this.#raw;
  }

  type(keys: string): void {
    this.#child.stdin.write(keys);
  }

  resize({ columns, rows }: Size): void {
    this.#screen.resize(columns, rows);
    execFileSync("stty", ["-F", this.#device, "rows", String(rows), "cols", String(columns)]);
  }

  /** The lines on the screen, without trailing blanks. */
  async lines(): Promise<string[]> {
    await new Promise<void>((done) => this.#screen.write("", done));
    const buffer = this.#screen.buffer.active;
    const all = Array.from({ length: this.#screen.rows }, (_, row) => buffer.getLine(buffer.baseY + row)?.translateToString(true) ?? "");
    return all.slice(0, all.findLastIndex((line) => line !== "") + 1);
  }

  /** Waits for a line on the screen. Throws with the screen as it is. */
  async see(what: RegExp, seconds = 60): Promise<string> {
    const deadline = Date.now() + seconds * 1000;
    for (;;) {
      const lines = await this.lines();
      const found = lines.find((line) => what.test(line));
      if (found !== undefined) return found;
      if (Date.now() > deadline) throw new Error(`not on the screen within ${seconds} s: ${what}\n${lines.join("\n")}`);
      await sleep(50);
    }
  }

  /** The command's exit status. Throws with the screen as it is where it does not end. */
  async ended(seconds = 30): Promise<number | null> {
    const ended = await Promise.race([this.#ended, sleep(seconds * 1000, "running" as const, { ref: false })]);
    if (ended !== "running") return ended;
    throw new Error(`not ended within ${seconds} s\n${(await this.lines()).join("\n")}`);
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }
}
