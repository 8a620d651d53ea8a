/** A container runtime as a node names it. */
export interface Runtime {
  /** "containerd", "cri-o", "docker"… */
  readonly name: string;
  /** Major, minor, patch. */
  readonly version: readonly [number, number, number];
}

/** Of a node's containerRuntimeVersion: "containerd://2.1.9+unknown", "cri-o://1.34.1". Undefined where it is something else. */
export function parseRuntime(text: string): Runtime | undefined {
  const [, name, major, minor, patch] = /^([a-z][a-z-]*):\/\/v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  if (name === undefined) return undefined;
  return { name, version: [Number(major), Number(minor), Number(patch ?? 0)] };
}

/** "v1.36.3", "containerd://2.1.9+unknown", "6.18.44-fc": the first number with a dot in it, as numbers; undefined where there is none. */
export function versionIn(text: string): readonly number[] | undefined {
  const [, digits] = /(\d+(?:\.\d+)+)/.exec(text) ?? [];
  return digits?.split(".").map(Number);
}

export function atLeast(version: readonly number[], least: readonly number[]): boolean {
  for (const [index, wanted] of least.entries()) {
    const have = version[index] ?? 0;
    if (have !== wanted) return have > wanted;
  }
  return true;
}
