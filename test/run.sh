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

run=(node --test --test-reporter=spec --test-reporter-destination=stdout --test-timeout=1200000)

reason=$(no_cluster_because)
if [ -n "$reason" ]; then
  say "skipping the tests that need a cluster: $reason"
  export NO_CLUSTER_BECAUSE=$reason
  exec "${run[@]}" "${files[@]}"
fi

test/cluster/cluster up --nodes 2 >&2
# Files that use the cluster, whose tests take turns (shareCluster and claimCluster of harness.ts), and all others.
mapfile -t cluster < <(grep -lE '(share|claim)Cluster' "${files[@]}" || true)
mapfile -t others < <(grep -LE '(share|claim)Cluster' "${files[@]}" || true)
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
status=0

# The others are done in what the cluster leaves of the processors, and told of afterwards.
if [ ${#others[@]} -gt 0 ]; then
  say "running ${#others[@]} test files"
  nice -n 10 "${run[@]}" --test-concurrency=1 "${others[@]}" >"$scratch/others" &
fi
if [ ${#cluster[@]} -gt 0 ]; then
  say "running ${#cluster[@]} test files on the cluster"
  told=(--test-reporter=./test/failed-files.ts --test-reporter-destination="$scratch/failed")
  "${run[@]}" "${told[@]}" --test-concurrency=2 "${cluster[@]}" || status=1
fi
if [ ${#others[@]} -gt 0 ]; then
  wait $! || others_status=1
  say "the ${#others[@]} test files that need no cluster"
  cat "$scratch/others"
fi

# A cluster on a busy machine has its moments. A file or two are tried again, and told of: what fails then, fails.
mapfile -t again < <(cat "$scratch/failed" 2>/dev/null)
if [ "$status" = 1 ] && [ -z "${FULL:-}" ] && [ ${#again[@]} -gt 0 ] && [ ${#again[@]} -le 2 ]; then
  say "failed on the cluster, once more: ${again[*]}"
  if "${run[@]}" --test-concurrency=1 "${again[@]}"; then
    status=0
    say "FLAKY: failed once (above) and passed when run again: ${again[*]}"
  fi
fi
exit $((status | ${others_status:-0}))
