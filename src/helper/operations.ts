import { CRIU_FUNCTIONS, CRIU_OPERATIONS } from "./criu-operations.ts";
import { HOST_FUNCTIONS, HOST_OPERATIONS } from "./host-operations.ts";
import { ARCHIVES, WORK } from "./paths.ts";
import { VOLUME_FUNCTIONS, VOLUME_OPERATIONS } from "./volume-operations.ts";

/** Blocks of dd: ranges that are asked for begin and end at their multiples, or at the end of the file. */
export const BLOCK = 65_536;

/** SHA-256 of two zero blocks: what a finished tar archive ends with. */
export const CLOSED = "5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef";
/** Of a file this large, in bytes, the programs that hash are compared first. */
const WORTH_A_TRY = 128 * 1024 * 1024;

/**
 * One operation on the served directory, asked for by httpd as a CGI or by exec. Only sh, dd, cat, wc and sha256sum have to be
 * there; what needs more says so by leaving it out. File names come as words (see nameWord), so that no name can mean anything
 * to the shell. Text answers end with a line "end": without it they were cut off.
 */
export const OPERATIONS = `#!/bin/sh
if [ -n "$QUERY_STRING" ]; then
  printf 'Content-Type: application/octet-stream\\r\\n\\r\\n'
  set -f; IFS='&'; set -- $QUERY_STRING; unset IFS
fi
LC_ALL=C; export LC_ALL
no() { echo "no $1"; echo end; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
word() { # word WORD: in $n, what nameWord made it of
  case $1 in
    =*) n=\${1#=} ;;
    *)
      n= s=$1
      while [ -n "$s" ]; do r=\${s#???}; n="$n\\\\0\${s%"$r"}"; s=$r; done
      n=$(printf '%b.' "$n"); n=\${n%.} ;;
  esac
}
path() { # path WORD: in $f, of a plain file in the directory itself
  word "$1"
  case $n in ''|.|..|*/*) return 2 ;; esac
  f=${ARCHIVES}/$n
  [ ! -h "$f" ] && [ -f "$f" ]
}
file() { path "$1" && return; [ $? = 2 ] && no name; no file; }
now() { if has date; then date +%s; else echo; fi; }
octal() { # the names, each after "./" and before "/", in octal
  if has od; then printf '%s/' "$@" | od -An -v -to1
  else for s; do s=$s/; while [ -n "$s" ]; do printf '%03o' "'$s"; s=\${s#?}; done; done; echo; fi
}
sizes() { if has stat; then stat -c '%s %Y %i' -- "$@" 2>/dev/null; else for f; do wc -c <"$f"; done 2>/dev/null; fi; }
ends() { # the hash of the last two blocks of each, as sizes says
  i=0
  while read -r size _; do
    i=$((i + 1)); eval "f=\\\${$i}"; blocks=$((size / 512)); : >${WORK}/end.$$.$i
    [ $blocks -lt 2 ] || [ $((blocks * 512)) != "$size" ] || dd if="$f" bs=512 skip=$((blocks - 2)) count=2 of=${WORK}/end.$$.$i 2>/dev/null
  done
  [ $i = 0 ] || sha256sum ${WORK}/end.$$.*
}
odd() { while read -r size _; do [ "$size" -ge 1024 ] && [ $((size % 512)) = 0 ] || echo "$size"; done; }
closed() { # whether all of them end with two zero blocks, without a process for each; not known is no
  [ -z "$(echo "$s" | odd)" ] && has tail && has tr || return 1
  tail -q -c 1024 -- "$@" >${WORK}/ends.$$ 2>/dev/null
  [ "$(wc -c <${WORK}/ends.$$)" -eq $((1024 * $#)) ] && [ "$(tr -d '\\0' <${WORK}/ends.$$ | wc -c)" -eq 0 ]
}
group() { # what list says of up to 100 files
  octal "$@"; echo sizes
  s=$(sizes "$@"); echo "$s"; echo ends
  if closed "$@"; then i=0; for f; do i=$((i + 1)); echo "${CLOSED} .$i"; done
  else echo "$s" | ends "$@"; fi
  echo group
  rm -f ${WORK}/end.$$.* ${WORK}/ends.$$
}
hashed() { case $1 in openssl) openssl dgst -sha256 -r ;; busybox) busybox sha256sum ;; *) sha256sum ;; esac; }
clock() { read -r t _ </proc/uptime; t=\${t%.*}\${t#*.}; } # in $t, hundredths of a second
hasher() { # hasher SIZE: in $h, what hashes fastest of what is there and right, tried on 16 MiB of $f
  h=sha256sum
  [ "$1" -ge ${WORTH_A_TRY} ] && [ -r /proc/uptime ] || return 0
  if [ -s ${WORK}/hasher ]; then read -r h <${WORK}/hasher; return; fi
  dd if="$f" of=/dev/null bs=${BLOCK} count=256 2>/dev/null
  right= best=
  for c in sha256sum openssl busybox; do
    has $c || continue
    clock; from=$t
    s=$(dd if="$f" bs=${BLOCK} count=256 2>/dev/null | hashed $c 2>/dev/null); s=\${s%% *}
    clock; took=$((t - from)); [ -n "$right" ] || right=$s best=$((took + 1))
    if [ "$s" = "$right" ] && [ $took -lt $best ]; then h=$c best=$took; fi
  done
  echo $h >${WORK}/hasher
}
${HOST_FUNCTIONS}${CRIU_FUNCTIONS}${VOLUME_FUNCTIONS}case $1 in
  alive) echo "$2" >${WORK}/alive; echo end ;;
  tools) for t in zstd lzop gzip stat tar; do has $t && echo $t; done; echo end ;;
  stat) # size, and with stat the time of the last change and the inode; the time now; whether it ends as a tar does
    file "$2"
    if has stat; then set -- $(stat -c '%s %Y %i' "$f"); else set -- $(wc -c <"$f"); fi
    echo "$@"; now
    blocks=$(($1 / 512))
    if [ $blocks -lt 2 ]; then echo open
    else
      case $(dd if="$f" bs=512 skip=$((blocks - 2)) 2>/dev/null | sha256sum) in
        ${CLOSED}*) echo closed ;;
        *) echo open ;;
      esac
    fi
    echo end ;;
  list) # the time now, then all plain files in the directory itself, in groups
    cd ${ARCHIVES} || no directory
    now; set +f; set --
    for f in * .[!.]* ..?*; do
      [ ! -h "./$f" ] && [ -f "./$f" ] || continue
      set -- "$@" "./$f"
      if [ $# = 100 ]; then group "$@"; set --; fi
    done
    [ $# = 0 ] || group "$@"
    echo end ;;
  specs) # specs MARK NAME...: after the mark, the OCI specification in each, where the image has tar
    mark=$2; shift 2
    for word; do echo "$mark"; path "$word" && has tar && tar -xOf "$f" spec.dump 2>/dev/null; done
    echo; echo "$mark"; echo end ;;
  sum) # the hash, then the file as it is afterwards: see stat
    file "$2"; set -- $(sizes "$f"); hasher "$1"
    hashed $h <"$f" && sizes "$f" && echo end ;;
  chunk) # chunk CODEC SKIP COUNT NAME, in blocks
    file "$5"
    case $2 in
      none) dd if="$f" bs=${BLOCK} skip="$3" count="$4" 2>/dev/null ;;
      zstd) dd if="$f" bs=${BLOCK} skip="$3" count="$4" 2>/dev/null | zstd -1 -T0 -q -c ;;
      lzop) dd if="$f" bs=${BLOCK} skip="$3" count="$4" 2>/dev/null | lzop -1 -c ;;
      gzip) dd if="$f" bs=${BLOCK} skip="$3" count="$4" 2>/dev/null | gzip -1 -c ;;
    esac ;;
  remove) # remove NAME IDENTITY...: what became of each; "-" is whatever is there
    shift
    while [ $# -gt 1 ]; do
      if ! path "$1"; then echo none
      elif [ "$2" != - ] && has stat && [ "$2" != "$(stat -c %s.%Y.%i "$f")" ]; then echo changed
      else rm -f -- "$f"; if [ -e "$f" ]; then echo kept; else echo gone; fi; fi
      shift 2
    done
    echo end ;;
  room) # of the file system: free blocks, their size, blocks, free inodes, inodes
    has stat && stat -f -c '%a %S %b %d %c' ${ARCHIVES}
    echo end ;;
${HOST_OPERATIONS}${CRIU_OPERATIONS}${VOLUME_OPERATIONS}  *) no operation ;;
esac
`;

/** Characters that neither a shell, a query nor a URL gives a meaning to. */
const PLAIN = /^[\w.:+@-]+$/;

/** A file name, any bytes, as the operations take it: as it is after "=", or its bytes as octal digits, three a byte. */
export function nameWord(name: Buffer): string {
  const text = name.toString("latin1");
  return PLAIN.test(text) ? `=${text}` : [...name].map((byte) => byte.toString(8).padStart(3, "0")).join("");
}
