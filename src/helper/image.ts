/**
 * The helper image of this version, for --sandbox, and for copies where it is asked for: CRIU, zstd, lzop, httpd. Its digest is written here
 * by .ci/package/helper/build.ts; `npm run package` checks it.
 */
export const HELPER_IMAGE = "ghcr.io/kubectl-checkpoint/helper@sha256:5e1f6da58f3b9dd047102694cb74d0cb8131c4373d918e703b1853f69a42fc4b";
