#!/usr/bin/env bash
# npm test [-- --full] [FILES]: sets up what is missing and runs every test. --full adds the long series.
set -euo pipefail
source "$(dirname "$0")/setup.sh"

files=()
for argument in "$@"; do
  case $argument in
    --full) export FULL=1 ;;
    *) files+=("$argument") ;;
  esac
done
if [ ${#files[@]} = 0 ]; then mapfile -t files < <(find test -name '*.test.ts' | sort); fi

say "types, lint, format (npm run check)"
npm run --silent check >&2
build

reason=$(no_cluster_because)
if [ -n "$reason" ]; then
  say "skipping the tests that need a cluster: $reason"
  export NO_CLUSTER_BECAUSE=$reason
else
  test/cluster/cluster up --nodes 2 >&2
fi
say "running ${#files[@]} test files"
# Those that use the cluster take the processors back (takeTurns of e2e/harness.ts).
exec nice -n 10 node test/run.ts "${files[@]}"
