/**
 * The helper image of this version, for --sandbox, and for copies where it is asked for: CRIU, zstd, lzop, httpd. Its digest is written here
 * by .ci/package/helper/build.ts; `npm run package` checks it.
 */
export const HELPER_IMAGE = "ghcr.io/kubectl-checkpoint/helper@sha256:5dc2e88a342d9b99df5658d47addcc9bc3ebcbd181ee018e99353478b8f92f00";
