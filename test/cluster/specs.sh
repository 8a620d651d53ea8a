# shellcheck shell=bash
# What a node is made of. NAME=RUNTIME[+OPTION…]: a runtime of the table in settings.sh, and
#   crun            in place of runc
#   no-criu, criu-3.15, criu-3.17, criu-4.1   in place of CRIU 4.2: none, older than any runtime wants, and two that fail on newer kernels
#   restore         containerd 2.2, 2.3: enable_experimental_restore_via_create = true
#   no-checkpoint   containerd 2.2 to 2.4: enable_criu = false; CRI-O: enable_criu_support = false
# A node is remembered in $RUN/nodes/NAME, lines of a shell: number, spec, runtime, programs. node1, node2… may have no such file:
# they are containerd-2.1, with their own number.

declare -A CRIU_DIRECTORY=([criu-3.15]=/opt/criu-3.15 [criu-3.17]=/opt/criu-3.17 [criu-4.1]=/opt/criu-4.1)

# check_spec NAME=SPEC: ends this script where it will not do.
check_spec() {
  local name=${1%%=*} spec=${1#*=} runtime option options
  [[ $1 == *=* && $name =~ ^[a-z][a-z0-9-]*$ && $name != control ]] || usage_error "--node is NAME=RUNTIME[+OPTION…], not $1"
  IFS=+ read -r runtime options <<<"$spec"
  [ -n "${RUNTIMES[$runtime]:-}" ] || usage_error "no runtime $runtime; there are: $(known_runtimes)"
  for option in ${options//+/ }; do
    case $option in
      crun | no-criu) ;;
      criu-*) [ -n "${CRIU_DIRECTORY[$option]:-}" ] || usage_error "no $option; there are: ${!CRIU_DIRECTORY[*]}" ;;
      restore) [[ $runtime =~ ^containerd-2\.[23]$ ]] || usage_error "$runtime has no switch for restores" ;;
      no-checkpoint) [[ $runtime =~ ^(containerd-2\.[234]|crio-.*)$ ]] || usage_error "$runtime has no switch for checkpoints" ;;
      *) usage_error "no option $option: crun, no-criu, ${!CRIU_DIRECTORY[*]}, restore, no-checkpoint" ;;
    esac
  done
}

known_runtimes() { printf '%s\n' "${!RUNTIMES[@]}" | sort | tr '\n' ' '; }

# add_spec NAME=SPEC: remembers a new node, for `raise` to start.
add_spec() {
  local name=${1%%=*} spec=${1#*=} number
  if [ -e "$RUN/machines/$name" ]; then
    [ "$(spec_of "$name")" = "$spec" ] || die "$name is $(spec_of "$name"): cluster configure $1, or cluster remove $name"
    return
  fi
  if [[ $name =~ ^node([0-9]+)$ ]]; then
    number=${BASH_REMATCH[1]}
  else
    number=101 # behind all that node1, node2… may have
    while grep -qsx "number=$number" "$RUN"/nodes/*; do number=$((number + 1)); done
  fi
  mkdir -p "$RUN/nodes" "$RUN/machines/$name"
  printf '%s\n' "number=$number" "spec=$spec" "programs=$(runtime_directory "${spec%%+*}")" "layer=$(layer_directory)" >"$RUN/nodes/$name"
}

# of_node NODE KEY: what is remembered; nothing where nothing is.
of_node() {
  local line
  while read -r line; do
    if [ "${line%%=*}" = "$2" ]; then echo "${line#*=}" && return; fi
  done 2>/dev/null <"$RUN/nodes/$1" || true
}

spec_of() {
  local spec
  spec=$(of_node "$1" spec)
  echo "${spec:-containerd-2.1}"
}
node_number() { if [[ $1 =~ ^node([0-9]+)$ ]]; then echo "${BASH_REMATCH[1]}"; else of_node "$1" number; fi; }
runtime_of() { local spec && spec=$(spec_of "$1") && echo "${spec%%+*}"; }
has_option() { [[ $(spec_of "$1")+ == *"+$2+"* ]]; }
is_crio() { [[ $(runtime_of "$1") == crio-* ]]; }
runtime_service() { if is_crio "$1"; then echo crio; else echo containerd; fi; } # its name among the node's services

# The lowest directories of a node's root, and what its PATH begins with.
roots_of() {
  local layer
  layer=$(of_node "$1" layer)
  echo "${layer:+$layer/upper:}$TREE"
}
programs_of() { of_node "$1" programs; }
