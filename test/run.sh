#!/usr/bin/env bash
# npm test [-- --full] [FILES]: sets up what is missing and runs every test. --full adds the long series.
set -euo pipefail
source "$(dirname "$0")/setup.sh"

files=()
for argument in "$@"; do
  case $argument in
    --full) export FULL=1 ;;
    -*) say "usage: npm test [-- --full] [FILES]"; exit 2 ;;
    *) files+=("$argument") ;;
  esac
done
for file in "${files[@]}"; do [ -f "$file" ] || { say "there is no file $file"; exit 2; }; done
all=$([ ${#files[@]} = 0 ] && echo yes || true)
if [ -n "$all" ]; then mapfile -t files < <(find test -name '*.test.ts' | sort); fi

# Those of the files, that of other runtimes and that of tests that want one alone (test/e2e/apart.ts), which a few files need not wait for.
clusters() {
  test/cluster/cluster up --nodes 2
  if grep -qs '^import "./place.ts"' "${files[@]}"; then
    runtimes=(crio-1.36 containerd-2.4)
    [ -z "${FULL:-}" ] || runtimes+=(containerd-1.7 containerd-2.2 containerd-2.3)
    CLUSTER_NUMBER=1 test/cluster/cluster build "${runtimes[@]}"
    CLUSTER_NUMBER=1 test/cluster/cluster up --nodes 0
  fi
  if [ -n "$all" ] || [ -e /run/kubectl-checkpoint-2 ]; then CLUSTER_NUMBER=2 test/cluster/cluster up --nodes 2; fi
}

up=
reason=$(no_cluster_because)
if ! grep -qE '^(share|claim)Cluster\(\);$' "${files[@]}"; then
  : # none of these files needs it
elif [ -n "$reason" ]; then
  say "skipping the tests that need a cluster: $reason"
  export NO_CLUSTER_BECAUSE=$reason
else
  # It waits much: what needs the processors is done beside it. None is left half made.
  clusters >&2 &
  up=$!
  trap wait EXIT
fi

dependencies
if [ -n "$all" ]; then
  say "types, lint, format (npm run check)"
  npm run --silent check >&2
fi
build

# Two files of tests want this machine's package: it is made once.
if [ -n "$all" ] && [ -z "${FULL:-}${PACKAGES:-}" ] && [ "$(uname -sm)" = "Linux x86_64" ]; then
  say "packaging for linux-amd64"
  export PACKAGES=$PWD/dist/tested
  node .ci/package.ts --to "$PACKAGES" linux-amd64 >&2
fi

[ -z "$up" ] || wait "$up" || { say "the cluster did not come up"; exit 1; }

# What tests compare with is made before all of them: none waits for a compiler, or is slowed by one.
if [ -n "$all" ]; then
  for name in $(grep -rhoE '\btool\("[a-z0-9-]+"\)' test --include='*.ts' | cut -d '"' -f 2 | sort -u); do
    test/tools/tool "$name" >/dev/null || say "without $name, the tests that need it are skipped, or fail"
  done
  say "workflows (npm run check:workflows)"
  status=0
  .ci/check-workflows >&2 || status=$?
  if [ $status = 3 ]; then say "skipping npm run check:workflows"; elif [ $status != 0 ]; then exit $status; fi
fi

say "running ${#files[@]} test files"
# Those that use the cluster take the processors back (takeTurns of e2e/harness.ts).
exec nice -n 10 node test/run.ts "${files[@]}"
