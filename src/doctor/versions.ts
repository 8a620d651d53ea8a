import { atLeast, parseRuntime, versionIn } from "../model/runtime.ts";

interface Row {
  readonly kernel: readonly [number, number];
  readonly criu: readonly [number, number];
  readonly why: string;
  /** Whether nothing at all can be dumped. */
  readonly all: boolean;
}

/** The CRIU that a kernel needs, what keeps most from being dumped first. */
const CRIU_FOR: readonly Row[] = [
  { kernel: [6, 13], criu: [4, 1], why: "no container can be dumped (criu#2532)", all: true },
  { kernel: [6, 16], criu: [4, 2], why: "containers with internet sockets cannot be dumped (criu#2705)", all: false },
];
/** What runc, crun and containerd ask for. */
const LEAST_CRIU = [3, 16];

export interface TooOld {
  readonly why: string;
  /** The version that would do. */
  readonly least: string;
  readonly all: boolean;
}

/** Why this CRIU will not do on this kernel, and which would; undefined where it will, as far as is known. */
export function criuTooOld(criu: string, kernel: string): TooOld | undefined {
  const [have, running] = [versionIn(criu), versionIn(kernel)];
  if (have === undefined) return undefined;
  if (!atLeast(have, LEAST_CRIU)) return { why: "runtimes do not work with it", least: LEAST_CRIU.join("."), all: true };
  if (running === undefined) return undefined;
  const rows = CRIU_FOR.filter((one) => atLeast(running, one.kernel));
  const row = rows.find((one) => !atLeast(have, one.criu));
  return row === undefined ? undefined : { why: `on kernel ${kernel} ${row.why}`, least: rows.at(-1)?.criu.join(".") ?? "", all: row.all };
}

/** Whether a runtime looks for CRIU only when it starts, by its containerRuntimeVersion: what was installed later it does not find. */
export function looksOnce(runtime: string): boolean {
  const parsed = parseRuntime(runtime);
  if (parsed?.name === "cri-o") return true;
  if (parsed?.name !== "containerd") return false;
  const { version } = parsed;
  return atLeast(version, [2, 3, 4]) || (atLeast(version, [2, 2, 7]) && !atLeast(version, [2, 3, 0]));
}
