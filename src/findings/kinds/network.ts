import type { SocketItem } from "../../model/inspection.ts";
import { command, say } from "../../model/phrase.ts";
import {
  baseName,
  commandLine,
  endpoint,
  isLoopback,
  isPrivate,
  processName,
  socketsOf,
  type FindingKind,
  type Facts,
  type ProcessFacts,
} from "../facts.ts";

const SHELL = /^(sh|ash|dash|bash|zsh|ksh|fish|tcsh|csh)$/;
/** They connect whatever one likes. */
const RELAY = /^(nc|ncat|netcat|nc\.openbsd|nc\.traditional|socat|telnet|cryptcat|chisel|frpc?|ngrok|gost)$/;

/** Listeners and connections. */
export const NETWORK: readonly FindingKind[] = [
  {
    id: "RemoteShell",
    about: "A shell or interpreter has a network connection as its input and output, itself or through a pipe",
    *find(facts) {
      for (const one of facts.processes) {
        const remote = remoteEnd(one, facts);
        if (remote === undefined) continue;
        yield {
          severity: "high",
          title: say`${processName(one.item)} takes its commands from ${remote}: ${commandLine(one.item)}`,
          detail: say`a shell whose input and output are a connection is what a reverse shell is`,
          command: command`kubectl checkpoint inspect ${facts.file} --files --sockets --pid ${one.item.pid}`,
          pid: one.item.pid,
        };
      }
    },
  },
  {
    id: "UndeclaredListener",
    about: "A process listens on a port that the pod's manifest does not declare",
    *find({ file, processes, ports }) {
      for (const facts of processes) {
        const { item, origin } = facts;
        const seen = new Set<string>();
        for (const { protocol, local, state, remote } of socketsOf(item)) {
          const { host, port } = endpoint(local);
          const transport = protocol.replace(/6$/, "");
          const key = `${transport}/${port}`;
          const listens = transport === "tcp" ? state === "LISTEN" : transport === "udp" && remote === "" && port !== 0;
          if (!listens || port === 0 || seen.has(key) || ports?.has(key) === true) continue;
          seen.add(key);
          const isRelay = isNamed(facts, RELAY) || isNamed(facts, SHELL);
          const isForeign = origin !== "image" && origin !== "mounted" && origin !== "unknown";
          if (ports === undefined && !isRelay && !isForeign) continue;
          yield {
            severity: isRelay || isForeign ? (ports === undefined ? "medium" : "high") : "note",
            title: say`${processName(item)} listens on ${transport} port ${port}${isLoopback(host) ? " of this pod only" : ""}: ${commandLine(item)}`,
            detail:
              ports === undefined
                ? say`the manifest is not known; a program of this kind rarely serves anything on purpose`
                : say`the pod's manifest does not declare that port`,
            command: command`kubectl checkpoint inspect ${file} --sockets --pid ${item.pid}`,
            pid: item.pid,
          };
        }
      }
    },
  },
  {
    id: "OutsideConnection",
    about: "A process is connected to an address outside of private networks",
    *find({ file, processes }) {
      for (const facts of processes) {
        const outside = new Set(
          socketsOf(facts.item)
            .filter(({ remote, family }) => remote !== "" && family.startsWith("inet") && isPublic(endpoint(remote).host))
            .map(({ remote }) => remote),
        );
        if (outside.size === 0) continue;
        const [first = ""] = outside;
        const isForeign = facts.origin !== "image" && facts.origin !== "mounted" && facts.origin !== "unknown";
        yield {
          severity: isForeign || isNamed(facts, RELAY) ? "medium" : "note",
          title: say`${processName(facts.item)} is connected to ${first}${outside.size > 1 ? ` and ${outside.size - 1} more outside` : ", outside"}`,
          detail: say`the address is not of a private network`,
          command: command`kubectl checkpoint inspect ${file} --sockets --pid ${facts.item.pid}`,
          pid: facts.item.pid,
        };
      }
    },
  },
  {
    id: "RawSocket",
    about: "A process has a packet or raw socket: it sees, or makes, any packet",
    *find({ file, processes }) {
      const seen = new Set<string | undefined>();
      for (const { item } of processes) {
        // Children have those of their parents.
        const raw = socketsOf(item).find((socket) => isRaw(socket) && !seen.has(socket.inode));
        if (raw === undefined) continue;
        if (raw.inode !== undefined) seen.add(raw.inode);
        yield {
          severity: "medium",
          title: say`${processName(item)} has a ${raw.family === "packet" ? "packet" : "raw"} socket`,
          detail: say`it can read or make any packet of its network`,
          command: command`kubectl checkpoint inspect ${file} --sockets --pid ${item.pid}`,
          pid: item.pid,
        };
      }
    },
  },
];

function isRaw({ family, kind, protocol }: SocketItem): boolean {
  return family === "packet" || protocol === "packet" || (kind === "raw" && family.startsWith("inet") && !/icmp/.test(protocol));
}

function isPublic(host: string): boolean {
  return host !== "" && host !== "0.0.0.0" && host !== "::" && !isPrivate(host);
}

function isNamed({ item, exe }: ProcessFacts, pattern: RegExp): boolean {
  const first = baseName((item.args?.[0] ?? "").replace(/^-/, "").split(/\s/, 1)[0]);
  return [item.comm, baseName(exe), first].some((name) => pattern.test(name));
}

/** The other end of the connection that a shell has as its input; undefined where it has none. */
function remoteEnd(facts: ProcessFacts, { processes }: Facts): string | undefined {
  const { files = [], args = [] } = facts.item;
  const standard = files.filter(({ fd }) => fd <= 2);
  const socket = standard.find(({ type, protocol = "", remote = "" }) => type === "socket" && /^(tcp|udp)/.test(protocol) && remote !== "");
  const isShell = isNamed(facts, SHELL) || (isInterpreter(facts) && socket !== undefined);
  if (!isShell) return undefined;
  if (socket !== undefined && standard.filter(({ name }) => name === socket.name).length > 1) return socket.remote;
  // sh -i with a pipe to who has the connection, as in: sh -i <fifo | nc HOST PORT >fifo.
  const isInteractive = args.slice(1).some((word) => /^-\w*i/.test(word)) || args.length === 1;
  const input = standard.find(({ fd }) => fd === 0);
  const output = standard.find(({ fd }) => fd === 1);
  if (!isInteractive || input?.otherEnds === undefined || output?.otherEnds === undefined) return undefined;
  const relays = [...input.otherEnds, ...output.otherEnds].map(({ pid }) => processes.find(({ item }) => item.pid === pid));
  for (const relay of relays) {
    const connected =
      relay === undefined || relay === facts
        ? undefined
        : socketsOf(relay.item).find(({ remote, family }) => remote !== "" && family.startsWith("inet"));
    if (connected !== undefined) return connected.remote;
  }
  return undefined;
}

const INTERPRETER = /^(python|perl|ruby|php|node|lua|awk|gawk|mawk|tclsh)/;

function isInterpreter({ exe }: ProcessFacts): boolean {
  return INTERPRETER.test(baseName(exe));
}
