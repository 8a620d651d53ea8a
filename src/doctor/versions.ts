import { atLeast, versionIn } from "../model/runtime.ts";

/** The CRIU that a kernel needs, newest kernels first. */
const CRIU_FOR: readonly { readonly kernel: readonly [number, number]; readonly criu: readonly [number, number]; readonly why: string }[] =
  [
    { kernel: [6, 16], criu: [4, 2], why: "containers with internet sockets cannot be dumped (criu#2705)" },
    { kernel: [6, 13], criu: [4, 1], why: "no container can be dumped (criu#2532)" },
  ];
/** What runc, crun and containerd ask for. */
const LEAST_CRIU = [3, 16];

/** Why this CRIU will not do on this kernel, and which would; undefined where it will, as far as is known. */
export function criuTooOld(criu: string, kernel: string): { readonly why: string; readonly least: string } | undefined {
  const [have, running] = [versionIn(criu), versionIn(kernel)];
  if (have === undefined) return undefined;
  if (!atLeast(have, LEAST_CRIU)) return { why: "runtimes do not work with it", least: LEAST_CRIU.join(".") };
  if (running === undefined) return undefined;
  const row = CRIU_FOR.find((one) => atLeast(running, one.kernel) && !atLeast(have, one.criu));
  return row === undefined
    ? undefined
    : { why: `on kernel ${kernel} ${row.why}`, least: CRIU_FOR.find((one) => atLeast(running, one.kernel))?.criu.join(".") ?? "" };
}
