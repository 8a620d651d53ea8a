import { CRIU_DIRECTORY, HELD } from "./criu-operations.ts";
import { HOST } from "./paths.ts";

/**
 * Operations on the node itself, of the script in operations.ts: a word and a value a line. What comes from processes is prefixed line
 * by line, so that no name of theirs can say anything else. Nothing is changed.
 */
export const HOST_OPERATIONS = `  node) # what checkpoints depend on
    if has chroot; then
      export PATH="$PATH:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin:/usr/libexec/crio"
      for t in criu runc crun; do echo "looked $t"; chroot ${HOST} $t --version 2>&1 </dev/null | say $t; done
    fi
    if has stat && has date; then
      now=$(date +%s)
      for f in /usr/local/sbin /usr/local/bin /usr/sbin /usr/bin /sbin /bin; do
        [ ! -f ${HOST}$f/criu ] || { set -- $(stat -L -c %Z ${HOST}$f/criu) && echo "criu-age $((now - $1))"; break; }
      done
    fi
    read -r up _ <${HOST}/proc/uptime
    set +f
    for p in ${HOST}/proc/[0-9]*; do
      read -r v 2>/dev/null <$p/comm || continue
      case $v in
        # The 22nd field of stat, of which the second is the name: when it started, in hundredths of a second.
        containerd|crio) read -r v 2>/dev/null <$p/stat && set -- \${v##*) } && echo "runtime-age $((\${up%.*} - \${20} / 100))" ;;
      esac
    done
    for l in ${HOST}/usr/lib/libcriu.so.2 ${HOST}/usr/lib/*/libcriu.so.2 ${HOST}/usr/lib64/libcriu.so.2 ${HOST}/usr/local/lib/libcriu.so.2; do
      [ ! -e "$l" ] || echo "libcriu \${l#${HOST}}"
    done
    for t in runc crun; do [ ! -f ${HOST}/etc/criu/$t.conf ] || say conf-$t <${HOST}/etc/criu/$t.conf; done
    if has date && read -r v 2>/dev/null <${HOST}${CRIU_DIRECTORY}/${HELD}/owner; then echo "criu-held $(date +%s) $v"; fi
    if [ -d ${HOST}/sys/fs/selinux ] && [ -r ${HOST}/sys/fs/selinux/enforce ]; then
      read -r v <${HOST}/sys/fs/selinux/enforce; echo "selinux $v"
    else echo "selinux none"; fi
    while read -r k v; do [ "$k" != Seccomp: ] || echo "seccomp $v"; done 2>/dev/null <${HOST}/proc/1/status
    has stat && stat -f -c '%a %S %b %d %c' ${HOST}/tmp | say tmp
    has stat && stat -f -c '%a %S %b %d %c' ${HOST}/var/lib/containers/storage 2>/dev/null | say storage
    echo end ;;
  runtime) # settings of the runtimes that run here, by their own programs: tables, and in them what restores depend on
    has chroot && has tr || no chroot
    set +f
    for p in ${HOST}/proc/[0-9]*; do
      read -r v 2>/dev/null <$p/comm || continue
      case $v in
        containerd|crio) echo "runtime $v"; settings "$v" "\${p#${HOST}}" | chosen ;;
      esac
    done
    echo end ;;
  processes) # processes ID...: of the processes in each container's cgroup, after a line "container ID"
    shift
    for t in readlink stat tr chroot; do has $t && echo "looked $t"; done
    set +f
    known=
    for p in ${HOST}/proc/[0-9]*; do
      id=
      while read -r v; do
        for c; do case $v in *"$c"*) id=$c; group=$v ;; esac; done
      done 2>/dev/null <$p/cgroup
      [ -n "$id" ] || continue
      case $id in *[!0-9a-f]*) continue ;; esac
      echo "container $id"
      process "$p"
      frozen
    done
    echo end ;;
`;

/** Functions of HOST_OPERATIONS. */
export const HOST_FUNCTIONS = `say() { while IFS= read -r v; do printf '%s %s\\n' "$1" "$v"; done; }
settings() { # settings NAME /proc/PID: as TOML; of CRI-O what it runs with, else what it would start with
  tr '\\000' '\\n' <"${HOST}$2/cmdline" | {
    name=$1 exe=$2/exe k=
    set --
    while IFS= read -r v; do
      case $k$v in
        =*) set -- "$@" "\${k#=}" "$v"; k= ;;
        --config|--config-dir|-c|-d|--listen) k="=$v" ;;
        --config=*|--config-dir=*|--listen=*) set -- "$@" "$v" ;;
      esac
    done
    case $name in
      containerd) chroot ${HOST} "$exe" "$@" config dump </dev/null ;;
      crio) chroot ${HOST} "$exe" "$@" status config </dev/null || chroot ${HOST} "$exe" "$@" config </dev/null ;;
    esac
  } 2>/dev/null
}
chosen() { # of TOML: nothing that could be a secret
  while read -r v; do
    case $v in
      '['*|enable_criu*|enable_experimental_restore*|container_level_enabled*|default_runtime*|BinaryName*|runtime_path*) printf 'set %s\\n' "$v" ;;
    esac
  done
}
plain() { v=$1; while [ "\${v#0}" != "$v" ] && [ -n "\${v#0}" ]; do v=\${v#0}; done; echo "$v"; } # a number as map_files has it
deleted() { # deleted WHAT LINK: of a deleted file that is open or mapped: bytes, names that are left, what, and its path
  has stat && set -- "$1" "$2" $(stat -L -c '%s %h' "$2" 2>/dev/null)
  readlink "$2" | while IFS= read -r v; do printf 'deleted %s %s %s %s\\n' "\${3:--}" "\${4:--}" "$1" "$v"; done
}
once() { # once LINK: whether that namespace has not been looked at yet for the container $id
  v=$id.\${1##*/}.$(readlink "$1" 2>/dev/null)
  case $known in *" $v "*) return 1 ;; esac
  known="$known $v "
}
process() { # process /proc/PID, all that is asked of it
  echo "process \${1##*/}"
  while read -r k v; do
    case $k in Name:) printf 'name %s\\n' "$v" ;; NSpid:|PPid:|State:|Seccomp:) printf '%s %s\\n' "$k" "$v" ;; esac
  done 2>/dev/null <$1/status
  has tr && tr '\\000' '\\n' 2>/dev/null <$1/cmdline | { IFS= read -r v && printf 'arg %s\\n' "$v"; }
  for t in $1/task/*; do read -r k v 2>/dev/null <$t/syscall && printf 'call %s %s\\n' "\${t##*/}" "$k"; done
  if has readlink; then
    readlink $1/exe 2>/dev/null | say exe
    case $(readlink $1/exe 2>/dev/null) in *' (deleted)') deleted exe $1/exe ;; esac
    for d in $1/fd/*; do
      v=$(readlink "$d" 2>/dev/null) || continue
      case $v in
        *' (deleted)') deleted fd "$d" ;;
        socket:*|anon_inode:*|/dev/*) printf 'file %s\\n' "$v" ;;
      esac
    done
    for t in pid user; do readlink $1/ns/$t 2>/dev/null | say "ns-$t"; done
  fi
  for d in $1/fdinfo/*; do
    while read -r k v; do
      case $k in
        inotify|fanotify) case $v in *fhandle-type:*) v=\${v##*fhandle-type:}; echo "watch \${v%% *}" ;; *) echo 'watch none' ;; esac ;;
        lock:) echo lock ;;
      esac
    done 2>/dev/null <"$d"
  done
  while IFS=' ' read -r r _ _ _ _ v; do
    case $v in
      *' (deleted)')
        r=$1/map_files/$(plain "\${r%-*}")-$(plain "\${r#*-}")
        if has readlink && readlink "$r" >/dev/null 2>&1; then deleted map "$r"; else printf 'deleted - - map %s\\n' "$v"; fi ;;
      anon_inode:*|/dev/*) printf 'file %s\\n' "$v" ;;
    esac
  done 2>/dev/null <$1/maps
  if once $1/ns/net; then
    for t in tcp tcp6; do
      while read -r _ _ _ s q _ _ _ _ i _; do echo "tcp $s $i $q"; done 2>/dev/null <$1/net/$t
    done
    if has chroot; then
      chroot ${HOST} nsenter --net=/proc/\${1##*/}/ns/net ss -xanH state established 2>/dev/null | while read -r _ _ _ _ i _ r _; do echo "unix $i $r"; done
    fi
  fi
  if once $1/ns/mnt; then
    while read -r _ _ _ _ m v; do printf 'mount %s %s\\n' "$m" "\${v#*- }"; done 2>/dev/null <$1/mountinfo
  fi
}
frozen() { # of the cgroup in $group: whether it is frozen
  v=\${group#*:}
  for f in "${HOST}/sys/fs/cgroup/\${v#*:}/cgroup.freeze" "${HOST}/sys/fs/cgroup/unified/\${v#*:}/cgroup.freeze" "${HOST}/sys/fs/cgroup/freezer/\${v#*:}/freezer.state"; do
    read -r k 2>/dev/null <"$f" && case $k in 1|FROZEN) echo frozen ;; esac
  done
}
`;
