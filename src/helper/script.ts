/** Where the pod has what it works with. Mounted there by manifest.ts. */
export const ARCHIVES = "/archives";
export const WORK = "/work";
/** httpd's, on the pod's loopback only. */
export const PORT = 8080;
/** Blocks of dd: ranges that are asked for begin and end at their multiples, or at the end of the file. */
export const BLOCK = 65_536;

const CHECK_SECONDS = 5;
const MISSED = 12;

/**
 * One operation on the checkpoint directory, asked for by httpd as a CGI or by exec. Only sh, dd, cat, wc and sha256sum have
 * to be there. File names come as octal digits, three a byte, so that no name can mean anything to the shell. Text answers
 * end with a line "end": without it they were cut off.
 */
const OPERATIONS = `#!/bin/sh
if [ -n "$QUERY_STRING" ]; then
  printf 'Content-Type: application/octet-stream\\r\\n\\r\\n'
  set -f; IFS='&'; set -- $QUERY_STRING; unset IFS
fi
no() { echo "no $1"; echo end; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }
file() { # file OCTAL: the path in $f, of a plain file in the directory itself
  n= s=$1
  while [ -n "$s" ]; do r=\${s#???}; n="$n\\\\0\${s%"$r"}"; s=$r; done
  n=$(printf '%b.' "$n"); n=\${n%.}
  case $n in ''|.|..|*/*) no name ;; esac
  f=${ARCHIVES}/$n
  [ ! -h "$f" ] && [ -f "$f" ] || no file
}
case $1 in
  alive) echo "$2" >${WORK}/alive; echo end ;;
  tools) for t in zstd lzop gzip stat; do has $t && echo $t; done; echo end ;;
  stat) # size, and with stat the time of the last change and the inode; the time now; whether it ends as a tar does
    file "$2"
    if has stat; then set -- $(stat -c '%s %Y %i' "$f"); else set -- $(wc -c <"$f"); fi
    echo "$@"; if has date; then date +%s; else echo; fi
    blocks=$(($1 / 512))
    if [ $blocks -lt 2 ]; then echo open
    else
      case $(dd if="$f" bs=512 skip=$((blocks - 2)) 2>/dev/null | sha256sum) in
        5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef*) echo closed ;;
        *) echo open ;;
      esac
    fi
    echo end ;;
  sum) file "$2"; sha256sum <"$f" && echo end ;;
  chunk) # chunk CODEC SKIP COUNT NAME, in blocks
    file "$5"
    case $2 in
      none) dd if="$f" bs=${BLOCK} skip="$3" count="$4" 2>/dev/null ;;
      zstd) dd if="$f" bs=${BLOCK} skip="$3" count="$4" 2>/dev/null | zstd -1 -q -c ;;
      lzop) dd if="$f" bs=${BLOCK} skip="$3" count="$4" 2>/dev/null | lzop -1 -c ;;
      gzip) dd if="$f" bs=${BLOCK} skip="$3" count="$4" 2>/dev/null | gzip -1 -c ;;
    esac ;;
  remove) file "$2"; rm -f -- "$f"; [ -e "$f" ] && no removal; echo end ;;
  *) no operation ;;
esac
`;

/**
 * What the pod runs: serves the directory on its loopback where it has busybox's httpd, at low priority, and ends a minute
 * after the last sign of its client (an alive operation with another number than the last one). Without sleep, only its
 * deadline ends it.
 */
export const SCRIPT = `umask 077
cat >${WORK}/op <<'EOF'
${OPERATIONS}EOF
renice -n 10 $$ >/dev/null 2>&1
ionice -c3 -p $$ >/dev/null 2>&1
httpd=
if command -v httpd >/dev/null 2>&1; then httpd=httpd; elif command -v busybox >/dev/null 2>&1; then httpd='busybox httpd'; fi
if [ -n "$httpd" ]; then
  mkdir -p ${WORK}/www/cgi-bin && ln -s ${ARCHIVES} ${WORK}/www/files && cat ${WORK}/op >${WORK}/www/cgi-bin/op &&
    chmod 700 ${WORK}/www/cgi-bin/op && $httpd -p 127.0.0.1:${PORT} -h ${WORK}/www
fi
missed=0 last=
while [ $missed -lt ${MISSED} ] && sleep ${CHECK_SECONDS}; do
  now=; read -r now 2>/dev/null <${WORK}/alive
  if [ "$now" = "$last" ]; then missed=$((missed + 1)); else missed=0; fi
  last=$now
done
command -v sleep >/dev/null 2>&1 || exec cat
`;

/** A file name as the operations take it. */
export function octal(name: string): string {
  return [...Buffer.from(name, "utf8")].map((byte) => byte.toString(8).padStart(3, "0")).join("");
}
