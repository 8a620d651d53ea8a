import { ARCHIVES, WORK } from "./paths.ts";

/** Where runc and crun let CRIU read its options, on the node. */
export const CRIU_DIRECTORY = "/etc/criu";
/** Of CRIU_DIRECTORY: there while options of ours are in its files, with the files as they were. */
export const HELD = ".kubectl-checkpoint";
/** How long after its last sign of life a holder counts as gone, in seconds. */
const HELD_SECONDS = 90;

/**
 * Operations on CRIU_DIRECTORY, which is mounted where archives otherwise are. `criu-take OWNER OPTION...` adds options to runc.conf and
 * crun.conf, `criu-back` puts the files back, by their very inodes. At every moment either file is whole, and what is in HELD is enough to
 * put it back: `owner` has until when it is held (seconds since 1970) and by whom; FILE.old, or FILE.absent, what was there; FILE.new what
 * was written. A file that somebody else has changed meanwhile is left as it is.
 */
export const CRIU_OPERATIONS = `  criu-take) # "taken", or "busy UNTIL OWNER"
    owner=$2; shift 2
    for t in mkdir mv ln rm cat date sleep sha256sum; do has $t || no tools; done
    if ! mkdir ${ARCHIVES}/${HELD} 2>/dev/null; then
      [ -d ${ARCHIVES}/${HELD} ] || no write
      until= who=; read -r until who 2>/dev/null <${ARCHIVES}/${HELD}/owner
      # Without an owner it is just being made, or whoever made it ended at that moment.
      if [ "$who" = "$owner" ]; then echo taken; echo end; exit; fi # asked again, as the answer was lost
      [ -n "$until" ] || until=$(($( { has stat && stat -c %Y ${ARCHIVES}/${HELD}; } || date +%s) + ${HELD_SECONDS}))
      if [ "$(date +%s)" -le "$until" ]; then echo "busy $until $who"; echo end; exit; fi
      criu_back >/dev/null && mkdir ${ARCHIVES}/${HELD} || no write
    fi
    echo "$owner" >${WORK}/criu-owner
    criu_owner && criu_take "$@" || { criu_back >/dev/null; rm -f ${WORK}/criu-owner; no write; }
    echo taken; echo end ;;
  criu-renew) read -r owner <${WORK}/criu-owner && criu_holds && criu_owner ;;
  criu-back) # criu-back [OWNER]: "back", "none", "other", or "changed FILE" of each that is not put back
    owner=$2
    [ -n "$owner" ] || read -r owner 2>/dev/null <${WORK}/criu-owner
    if [ ! -d ${ARCHIVES}/${HELD} ]; then echo none
    elif criu_holds; then criu_back && echo back || no write
    else echo other; fi
    rm -f ${WORK}/criu-owner
    echo end ;;
`;

/** Functions of CRIU_OPERATIONS. */
export const CRIU_FUNCTIONS = `hash() { sha256sum <"$1" | { read -r v _; echo "$v"; }; }
criu_holds() { until= who=; read -r until who 2>/dev/null <${ARCHIVES}/${HELD}/owner; [ "$who" = "$owner" ]; }
criu_owner() { echo "$(($(date +%s) + ${HELD_SECONDS})) $owner" >${ARCHIVES}/${HELD}/owner.new && mv -f ${ARCHIVES}/${HELD}/owner.new ${ARCHIVES}/${HELD}/owner; }
criu_take() { # criu_take OPTION...: crun reads runc's file where it has none of its own
  d=${ARCHIVES}/${HELD}
  for t in crun runc; do
    f=${ARCHIVES}/$t.conf s=$f
    [ ! -h $f ] || return 1
    [ -f $s ] || s=${ARCHIVES}/runc.conf
    { if [ -f $s ]; then cat $s && echo; fi; for o; do word "$o"; printf '%s\\n' "$n"; done; } >$d/$t.put || return 1
    if [ -f $f ]; then ln $f $d/$t.old || return 1; else : >$d/$t.absent || return 1; fi
    cat $d/$t.put >$d/$t.new && mv -f $d/$t.put $f || return 1
  done
}
criu_back() { # puts back what criu_take replaced, if it is what criu_take wrote
  d=${ARCHIVES}/${HELD}
  for t in crun runc; do
    f=${ARCHIVES}/$t.conf
    if [ -f $d/$t.new ] && [ ! -h $f ] && [ -f $f ]; then
      if [ "$(hash $f)" = "$(hash $d/$t.new)" ]; then
        if [ -f $d/$t.absent ]; then rm -f $f || return 1
        elif [ -f $d/$t.old ]; then mv -f $d/$t.old $f || return 1; fi
      elif [ -f $d/$t.old ] || [ -f $d/$t.absent ]; then echo "changed $t.conf"; fi
    fi
  done
  rm -rf $d
}
`;
