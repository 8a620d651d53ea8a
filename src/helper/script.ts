import { OPERATIONS } from "./operations.ts";
import { ARCHIVES, WORK } from "./paths.ts";

/** httpd's, on the pod's loopback only. */
export const PORT = 8080;

const CHECK_SECONDS = 5;
const MISSED = 12;

/**
 * What the pod runs: serves the directory on its loopback where it has busybox's httpd, at low priority, and ends a minute
 * after the last sign of its client (an alive operation with another number than the last one). Without sleep, only its
 * deadline ends it. What it has changed in CRIU's options it puts back before it ends, also when it is ended.
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
back() { [ ! -f ${WORK}/criu-owner ] || sh ${WORK}/op criu-back; } >/dev/null 2>&1
trap 'back; exit' TERM
missed=0 last=
while [ $missed -lt ${MISSED} ] && { sleep ${CHECK_SECONDS} & wait $!; }; do
  [ ! -f ${WORK}/criu-owner ] || sh ${WORK}/op criu-renew
  now=; read -r now 2>/dev/null <${WORK}/alive
  if [ "$now" = "$last" ]; then missed=$((missed + 1)); else missed=0; fi
  last=$now
done
back
command -v sleep >/dev/null 2>&1 || exec cat
`;
