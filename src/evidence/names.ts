/** FILE.tar.age and what lies beside it are called after FILE.tar. */
function withoutAge(path: string): string {
  return path.replace(/\.age$/, "");
}

/** FILE.sigstore.json beside FILE: its signature. */
export function bundlePath(path: string): string {
  return `${withoutAge(path)}.sigstore.json`;
}
