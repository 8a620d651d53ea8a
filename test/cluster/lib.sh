# shellcheck shell=bash
# Small things that every part uses: messages, waiting, phases with a heartbeat.

die() { echo "cluster: $*" >&2; exit 1; }
usage_error() { echo "cluster: $* (see cluster --help)" >&2; exit 2; }
say() { printf '[%3d s] %s\n' "$SECONDS" "$*"; }

# wait_until SECONDS WHAT COMMAND…: runs COMMAND until it succeeds.
wait_until() {
  local deadline=$((SECONDS + $1)) what=$2
  shift 2
  until "$@" >/dev/null 2>&1; do
    [ $SECONDS -lt $deadline ] || die "waited too long for $what; the logs are in $RUN/log"
    sleep 0.1
  done
}

# background COMMAND…, wait_for_jobs: run commands side by side; all must succeed.
# A job joins a cgroup, so that the next `up` can end it if this one is killed. It does not get the lock, which must not outlive this script.
jobs=()
background() {
  (join_cgroup build && "$@") 9>&- &
  jobs+=($!)
}
wait_for_jobs() {
  local job
  for job in "${jobs[@]}"; do wait "$job" || exit 1; done
  jobs=()
}

# phase TITLE LOG COMMAND…: runs COMMAND with its output in LOG. Tells when it begins, every 10 s where it is, and when it ends.
# Never call it in a condition: bash would go on after errors inside COMMAND.
phase() {
  local title=$1 log=$2 began=$SECONDS told=$SECONDS pid
  shift 2
  say "$title"
  (join_cgroup build && "$@") >"$log" 2>&1 </dev/null 9>&- &
  pid=$!
  while kill -0 "$pid" 2>/dev/null; do
    sleep 0.1
    [ $((SECONDS - told)) -lt 10 ] && continue
    told=$SECONDS
    say "$title: $((SECONDS - began)) s, $(tail -n 1 "$log" | tr -cd '[:print:]' | cut -c 1-80)"
  done
  if ! wait "$pid"; then
    echo "cluster: $title failed. The end of $log:" >&2
    tail -n 15 "$log" | sed 's/^/  /' >&2
    return 1
  fi
  [ $((SECONDS - began)) -lt 2 ] || say "$title: done in $((SECONDS - began)) s"
}
