import { command, say } from "../../model/phrase.ts";
import { string } from "../../model/json.ts";
import type { FindingKind } from "../facts.ts";

/** What rules found, and what the checkpoint did. */
export const OTHERS: readonly FindingKind[] = [
  {
    id: "RuleMatch",
    about: "A YARA rule of --rules matches",
    *find({ file, ruleHits }) {
      for (const { rule, tags, meta, place, pid, path, address } of ruleHits) {
        yield {
          severity: "high",
          title: say`rule ${rule} matches in ${place}`,
          detail: say`${[string(meta["description"]), tags.length === 0 ? "" : `tags ${tags.join(", ")}`].filter((part) => part !== "").join("; ") || "a rule of --rules"}`,
          command: command`kubectl checkpoint search ${file} --rules RULES${pid === undefined ? say`` : say` --pid ${pid}`}`,
          ...(pid === undefined ? {} : { pid }),
          ...(path === undefined ? {} : { path }),
          ...(address === undefined ? {} : { address }),
        };
      }
    },
  },
  {
    id: "InterruptedCall",
    about: "The checkpoint interrupted system calls, in the original too",
    *find({ file, inspection: { interrupted = [] } }) {
      const [first] = interrupted;
      if (first === undefined) return;
      const others = interrupted.length === 1 ? "" : ` and of ${interrupted.length - 1} more`;
      yield {
        severity: "note",
        title: say`the checkpoint interrupted ${first.call ?? "a system call"} of thread ${first.tid} (${first.comm})${others}`,
        detail: say`in the original too: a program that does not expect EINTR may have failed`,
        command: command`kubectl checkpoint inspect ${file}`,
        pid: first.tid,
      };
    },
  },
];
