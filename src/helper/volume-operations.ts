import { VOLUMES } from "./paths.ts";

/** Entries of directories that one answer has at most; a link, whose target may be long, counts as eight. */
export const LISTED_ENTRIES = 2000;

/**
 * Operations on a pod's volumes, whose content is hostile and may change at any moment: nothing is read through a link. Whatever a path leads
 * to is opened first; then the kernel says where that is, and it counts only where it is that very path.
 */
export const VOLUME_OPERATIONS = `  volume-list) # volume-list SKIP PATH...: what is in each directory, without the first SKIP entries of the first one
    for t in stat readlink od head; do has $t || no tools; done
    skip=$2 left=${LISTED_ENTRIES}; shift 2; set +f
    for w; do
      [ $left -gt 0 ] || break
      word "$w"; f=${VOLUMES}/$n more=
      echo directory
      if cd -P -- "$f" 2>/dev/null && [ "$(pwd -P; echo .)" = "$f
." ]; then
        entries; skip=0
        echo "listed $more"
      else echo absent; skip=0; fi
      [ -z "$more" ] || break
    done
    echo end ;;
  volume-read) # volume-read MARK [SIZE PATH]...: so many bytes of each file, and the mark after them; then facts of each
    mark=$2; shift 2; k=$#
    while [ $k -gt 0 ]; do
      size=$1; word "$2"; f=${VOLUMES}/$n; shift 2; k=$((k - 2))
      if [ "$size" -gt 0 ] && plain_file; then { same && head -c "$size" <&3; } 3<"$f"; fi 2>/dev/null
      printf %s "$mark"
      set -- "$@" "$f"
    done
    [ $# = 0 ] || facts "$@"
    echo end ;;
  volume-chunk) # volume-chunk CODEC SKIP COUNT LENGTH PATH: blocks as chunk has them, and zeros for what is not there any more
    word "$6"; f=${VOLUMES}/$n
    case $2 in
      none) volume_bytes "$3" "$4" "$5" ;;
      zstd) volume_bytes "$3" "$4" "$5" | zstd -1 -T0 -q -c ;;
      lzop) volume_bytes "$3" "$4" "$5" | lzop -1 -c ;;
      gzip) volume_bytes "$3" "$4" "$5" | gzip -1 -c ;;
    esac ;;
`;

/** Functions of VOLUME_OPERATIONS. `facts` is mode, bytes, links, user, group, times of change, inode, device. */
export const VOLUME_FUNCTIONS = `plain_file() { [ ! -h "$f" ] && [ -f "$f" ]; } # of $f; a FIFO would be waited for
same() { [ "$(readlink /proc/self/fd/3; echo .)" = "$f
." ]; } # whether what is open is at $f, and not where a link has led
facts() { # a line for each, also where one of them is not there any more
  s=$(stat -c '%f %s %h %u %g %Y %Z %i %d' -- "$@" 2>/dev/null)
  if [ "$(echo "$s" | wc -l)" -eq $# ] && [ -n "$s" ]; then echo "$s"
  else for f; do stat -c '%f %s %h %u %g %Y %Z %i %d' -- "$f" 2>/dev/null || echo absent; done; fi
}
volume_bytes() { # volume_bytes SKIP COUNT LENGTH, of $f
  { if plain_file; then { same && dd bs=65536 skip="$1" count="$2" <&3; } 3<"$f"; fi; cat /dev/zero; } 2>/dev/null | head -c "$3"
}
entries() { # of the working directory, which stays the one that it is: until $left are said; in $more how many were
  i=0
  for e in * .[!.]* ..?*; do
    [ -e "./$e" ] || [ -h "./$e" ] || continue
    i=$((i + 1)); [ $i -gt "$skip" ] || continue
    [ $left -gt 0 ] || { more=$((i - 1)); break; }
    left=$((left - 1)); [ ! -h "./$e" ] || left=$((left - 7)); set -- "$@" "./$e"
    if [ $# = 100 ]; then described "$@"; set --; fi
  done
  [ $# = 0 ] || described "$@"
}
described() { # names, facts, and the targets of links
  octal "$@"; echo facts
  facts "$@"
  echo targets
  for f; do
    if [ -h "$f" ]; then l=$(readlink "$f" && echo .); printf '%s' "\${l%??}" | od -An -v -to1; fi
    echo next
  done
  echo described
}
`;
