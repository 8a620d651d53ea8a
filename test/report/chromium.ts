// Chromium, by its DevTools protocol (https://chromedevtools.github.io/devtools-protocol/): what a page does, requests and draws.
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** Why there is none; undefined where there is one. */
export const NO_CHROMIUM: string | undefined =
  spawnSync("chromium", ["--version"]).status === 0 ? undefined : "chromium is not installed (apt-get install chromium)";

interface Message {
  readonly id?: number;
  readonly method?: string;
  readonly params?: Record<string, unknown>;
  readonly result?: Record<string, unknown>;
  readonly error?: { readonly message: string };
}

export class Chromium implements AsyncDisposable {
  readonly #child: ChildProcess;
  readonly #profile: string;
  readonly #socket: WebSocket;
  readonly #waiting = new Map<number, (message: Message) => void>();
  #session = "";
  #next = 1;
  /** URLs that were asked for, the page's own first. */
  readonly requests: string[] = [];
  /** Errors, warnings and what the policy refused. */
  readonly console: string[] = [];

  private constructor(child: ChildProcess, profile: string, socket: WebSocket) {
    this.#child = child;
    this.#profile = profile;
    this.#socket = socket;
    socket.addEventListener("message", ({ data }) => this.#take(JSON.parse(String(data)) as Message));
  }

  static async start(): Promise<Chromium> {
    const profile = mkdtempSync(join(tmpdir(), "chromium-"));
    const flags = [
      "--headless=new",
      "--no-sandbox",
      "--disable-gpu",
      "--disable-dev-shm-usage",
      "--remote-debugging-port=0",
      `--user-data-dir=${profile}`,
    ];
    const child = spawn("chromium", [...flags, "about:blank"], { stdio: ["ignore", "ignore", "pipe"] });
    let url: string | undefined;
    for await (const line of createInterface({ input: child.stderr })) {
      url = /DevTools listening on (ws:\S+)/.exec(line)?.[1];
      if (url !== undefined) break;
    }
    child.stderr.resume();
    const socket = new WebSocket(url ?? "");
    await once(socket, "open");
    const chromium = new Chromium(child, profile, socket);
    const { targetId } = await chromium.send("Target.createTarget", { url: "about:blank" });
    const { sessionId } = await chromium.send("Target.attachToTarget", { targetId, flatten: true });
    chromium.#session = String(sessionId);
    for (const domain of ["Page", "Network", "Runtime", "Log"]) await chromium.send(`${domain}.enable`);
    return chromium;
  }

  async send(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const id = this.#next;
    this.#next += 1;
    const session = this.#session === "" ? {} : { sessionId: this.#session };
    this.#socket.send(JSON.stringify({ id, method, params, ...session }));
    const { result, error } = await new Promise<Message>((done) => this.#waiting.set(id, done));
    if (error !== undefined) throw new Error(`${method}: ${error.message}`);
    return result ?? {};
  }

  #loaded: (() => void) | undefined;

  #take({ id, method, params = {}, ...rest }: Message): void {
    if (id !== undefined) this.#waiting.get(id)?.({ id, ...rest });
    if (method === "Page.loadEventFired") this.#loaded?.();
    if (method === "Network.requestWillBeSent") this.requests.push((params["request"] as { url: string }).url);
    if (method === "Log.entryAdded") this.console.push((params["entry"] as { text: string }).text);
    if (method === "Runtime.exceptionThrown" || (method === "Runtime.consoleAPICalled" && params["type"] !== "log"))
      this.console.push(JSON.stringify(params));
  }

  /** Milliseconds until it was loaded and laid out. */
  async open(url: string, { script = true } = {}): Promise<number> {
    this.requests.length = 0;
    this.console.length = 0;
    await this.send("Emulation.setScriptExecutionDisabled", { value: !script });
    const loaded = new Promise<void>((done) => (this.#loaded = done));
    const started = performance.now();
    await this.send("Page.navigate", { url });
    await loaded;
    await this.send("Page.getLayoutMetrics");
    return performance.now() - started;
  }

  async evaluate<T>(expression: string): Promise<T> {
    const { result, exceptionDetails } = await this.send("Runtime.evaluate", { expression, returnByValue: true, awaitPromise: true });
    if (exceptionDetails !== undefined) throw new Error(JSON.stringify(exceptionDetails));
    return (result as { value: T }).value;
  }

  async screenshot(path: string, width: number, height: number, { dark = false, print = false } = {}): Promise<void> {
    await this.send("Emulation.setDeviceMetricsOverride", { width, height, deviceScaleFactor: 1, mobile: false });
    await this.send("Emulation.setEmulatedMedia", {
      media: print ? "print" : "",
      features: [{ name: "prefers-color-scheme", value: dark ? "dark" : "light" }],
    });
    const { data } = await this.send("Page.captureScreenshot", { format: "png" });
    writeFileSync(path, Buffer.from(String(data), "base64"));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.close();
    if (this.#child.exitCode === null && this.#child.signalCode === null) {
      this.#child.kill("SIGKILL");
      await once(this.#child, "exit");
    }
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 20, retryDelay: 100 });
  }
}
