import { isWorkloadType } from "../../cluster/workloads.ts";
import type { PodWord, WorkloadWord } from "../../flows/capture/targets/resolve.ts";
import { usageError } from "../../model/error.ts";
import { say } from "../../model/phrase.ts";

/** `nginx`, `pod/nginx`, `deploy/web`, and as kubectl takes it: `pod nginx`. Throws a usage error. */
export function targetWords(words: readonly string[]): (PodWord | WorkloadWord)[] {
  const named = words.length > 1 && isPodType(words[0] ?? "") ? words.slice(1) : words;
  return named.map((word) => {
    const slash = word.indexOf("/");
    const [type, name] = slash < 0 ? ["pod", word] : [word.slice(0, slash), word.slice(slash + 1)];
    if (name === "" || name.includes("/")) throw usageError(say`invalid target "${word}": use POD or TYPE/NAME`);
    if (isPodType(type)) return { kind: "pod", name };
    if (isWorkloadType(type)) return { kind: "workload", type, name };
    throw usageError(
      say`invalid target "${word}": use one of pod, deploy, rs, sts, ds, rc, job, cronjob and svc as TYPE`,
      say`for the container ${name} of pod/${type}: ${type} -c ${name}; for pod/${name} in the namespace ${type}: ${name} -n ${type}`,
    );
  });
}

function isPodType(type: string): boolean {
  return /^(pods?|po)$/.test(type);
}
