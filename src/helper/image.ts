/**
 * The helper image of this version, for --sandbox, and for copies where it is asked for: CRIU, zstd, lzop, httpd. Its digest is written here
 * by .ci/package/helper/build.ts; `npm run package` checks it.
 */
export const HELPER_IMAGE = "ghcr.io/kubectl-checkpoint/helper@sha256:1f22352690ab401b5671f947308d263871eaaab253e7ec5d8af26ef403549334";
