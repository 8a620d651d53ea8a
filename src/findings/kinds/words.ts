import { command, say } from "../../model/phrase.ts";
import { counted } from "../../model/units.ts";
import { commandLine, isTemporary, processName, type FindingKind } from "../facts.ts";
import { isSecretName, masked, maskedWords } from "../secrets.ts";

const MINING = /stratum\d?\+(tcp|ssl|tls):\/\/|\b(xmrig|cpuminer|minerd|xmr-stak|nanominer|cryptonight)\b|--donate-level/i;

/** What arguments, variables and memory say. */
export const WORDS: readonly FindingKind[] = [
  {
    id: "MiningPool",
    about: "Arguments or variables name a mining pool or a miner",
    *find({ file, processes }) {
      // Children have the variables of their parents.
      const seen = new Set<string>();
      for (const { item } of processes) {
        const texts = [...(item.args ?? []), ...(item.env ?? []).map(({ value = "" }) => value)];
        const found = texts.find((text) => MINING.test(text));
        if (found === undefined || seen.has(found)) continue;
        seen.add(found);
        yield {
          severity: "high",
          title: say`${processName(item)} mines: ${commandLine(item)}`,
          detail: say`its arguments or variables name a mining pool or a miner`,
          command: command`kubectl checkpoint inspect ${file} --ps --env --pid ${item.pid}`,
          pid: item.pid,
        };
      }
    },
  },
  {
    id: "Preload",
    about: "A library is loaded into a process by LD_PRELOAD or LD_AUDIT",
    *find({ file, processes, changed }) {
      const seen = new Set<string>();
      for (const { item } of processes) {
        for (const { name, value = "" } of item.env ?? []) {
          if (!/^LD_(PRELOAD|AUDIT)$/.test(name) || value === "" || seen.has(value)) continue;
          seen.add(value);
          const isForeign = value.split(/[\s:]+/).some((path) => isTemporary(path) || changed.has(path));
          yield {
            severity: isForeign ? "high" : "note",
            title: say`${processName(item)} has ${name}=${value}`,
            detail: isForeign
              ? say`a library that is not the image's is loaded into it`
              : say`that library is loaded into it, and into what it starts`,
            command: command`kubectl checkpoint inspect ${file} --env --pid ${item.pid}`,
            pid: item.pid,
          };
        }
      }
    },
  },
  {
    id: "HistoryOff",
    about: "A shell keeps no history: HISTFILE is /dev/null or empty",
    *find({ file, processes }) {
      for (const { item } of processes) {
        if (!(item.env ?? []).some(({ name, value }) => name === "HISTFILE" && (value === "/dev/null" || value === ""))) continue;
        yield {
          severity: "medium",
          title: say`${processName(item)} keeps no history of its commands`,
          detail: say`HISTFILE says so: nobody sets that who has nothing to hide`,
          command: command`kubectl checkpoint inspect ${file} --env --pid ${item.pid}`,
          pid: item.pid,
        };
      }
    },
  },
  {
    id: "SecretInArguments",
    about: "A process has a password, token or key in its arguments, which everybody on the node sees",
    *find({ file, processes }) {
      for (const { item } of processes) {
        const { args = [] } = item;
        if (maskedWords(args).every((word, index) => word === args[index])) continue;
        yield {
          severity: "note",
          title: say`${processName(item)} has a secret in its arguments`,
          detail: say`whoever may list the processes of the node sees it`,
          command: command`kubectl checkpoint inspect ${file} --pid ${item.pid}`,
          pid: item.pid,
        };
      }
    },
  },
  {
    id: "SecretInEnvironment",
    about: "Variables hold passwords, tokens or keys, by their names or their forms",
    *find({ file, processes }) {
      const seen = new Set<string>();
      for (const { item } of processes) {
        const secrets = (item.env ?? []).filter(({ name, value = "" }) => value !== "" && (isSecretName(name) || masked(value) !== value));
        const names = [...new Set(secrets.map(({ name }) => name))].filter((name) => !seen.has(name));
        if (names.length === 0) continue;
        for (const name of names) seen.add(name);
        const shown = names.slice(0, 4).join(", ");
        yield {
          severity: "note",
          title: say`${processName(item)} has secrets in its environment: ${shown}${names.length > 4 ? ` and ${names.length - 4} more` : ""}`,
          detail: say`whoever has the archive has them: replace them after an incident`,
          command: command`kubectl checkpoint inspect ${file} --env --pid ${item.pid}`,
          pid: item.pid,
        };
      }
    },
  },
  {
    id: "SecretFound",
    about: "Memory, files or queues hold what looks like a key or token",
    *find({ file, secrets }) {
      for (const { kind, place, pid, path, address, count } of secrets) {
        yield {
          severity: "note",
          title: say`${counted(count, kind)} in ${place}`,
          detail: say`whoever has the archive has it: replace it after an incident`,
          command:
            pid === undefined
              ? command`kubectl checkpoint search ${file} --in files --regex ${PATTERN[kind] ?? ""}`
              : command`kubectl checkpoint search ${file} --pid ${pid} --regex ${PATTERN[kind] ?? ""}`,
          ...(pid === undefined ? {} : { pid }),
          ...(path === undefined ? {} : { path }),
          ...(address === undefined ? {} : { address }),
        };
      }
    },
  },
];

/** Short ones, to find them again. */
const PATTERN: Readonly<Record<string, string>> = {
  "private key": "-----BEGIN [A-Z ]*PRIVATE KEY-----",
  "age identity": "AGE-SECRET-KEY-",
  "AWS access key": "(AKIA|ASIA)[A-Z2-7]{16}",
  "Google API key": "AIza[\\w-]{35}",
  "GitHub token": "(gh[pousr]_|github_pat_)\\w{22}",
  "GitLab token": "glpat-[\\w-]{20}",
  "Slack token": "(xox[abp]|xapp)-[\\w-]{20}",
  "Stripe key": "[rs]k_live_\\w{20}",
  "Anthropic or OpenAI key": "sk-(ant|proj)-[\\w-]{20}",
  "npm token": "npm_\\w{36}",
  "Vault token": "hvs\\.[\\w-]{24}",
  "JSON Web Token": "eyJ[\\w-]{8,}\\.eyJ[\\w-]+",
};
