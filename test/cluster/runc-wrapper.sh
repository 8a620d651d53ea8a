#!/bin/sh
# runc with more patience: with version 1 of cgroups it gives up where a container has not frozen after 1,000 looks, some 0.3 s, and a
# machine that builds something beside two nodes takes longer once in a hundred times ("unable to freeze"). All else is runc's own.
case " $* " in
  *" pause "*) ;;
  *) exec /usr/sbin/runc.real "$@" ;;
esac
try=1
until said=$(/usr/sbin/runc.real "$@" 2>&1); do
  status=$?
  case $said in *"unable to freeze"*) ;; *) try=10 ;; esac
  if [ $try -ge 10 ]; then
    printf '%s\n' "$said" >&2
    exit $status
  fi
  try=$((try + 1))
done
