# Sourced by test/run.sh and test/demo.sh.
cd "$(dirname "${BASH_SOURCE[0]}")/.."

say() { printf '== %s\n' "$*" >&2; }

# Whether node_modules holds what package-lock.json says (optional packages are for other platforms).
installed() {
  node -e '
    const wanted = require("./package-lock.json").packages, there = require("./node_modules/.package-lock.json").packages;
    const missing = ([name, { version, optional }]) => name !== "" && !optional && there[name]?.version !== version;
    process.exit(Object.entries(wanted).some(missing) ? 1 : 0)' 2>/dev/null
}

# Dependencies and Node 26, from whatever Node and npm the machine has.
dependencies() {
  if ! installed; then
    command -v npm >/dev/null || { say "npm is needed: apt install npm"; exit 2; }
    say "installing dependencies (npm ci)"
    npm ci --no-audit --no-fund --loglevel=error >&2
  fi
  export PATH=$PWD/node_modules/.bin:$PWD/node_modules/node/bin:$PATH
}

# Sources that dist/ is made from: built again only when one of them has changed.
build() {
  local sum
  sum=$(find cmd src .ci package.json package-lock.json -type f -print0 | sort -z | xargs -0 sha256sum | sha256sum | cut -c1-64)
  [ "$(cat dist/.built 2>/dev/null)" = "$sum" ] && return
  say "building dist/kubectl-checkpoint"
  npm run --silent build >&2
  echo "$sum" >dist/.built
}

# Why the cluster cannot be had here; nothing where it can.
no_cluster_because() {
  [ "$(uname -s)" = Linux ] || { echo "the cluster needs Linux, this is $(uname -s)"; return; }
  [ "$(id -u)" = 0 ] || { echo "the cluster needs root"; return; }
  command -v apt-get >/dev/null || echo "the cluster needs a Debian-like Linux"
}
