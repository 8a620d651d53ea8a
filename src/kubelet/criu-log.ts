/** Where a runtime keeps CRIU's log of one container. */
export interface CriuLog {
  /** On the node, absolute. */
  readonly directory: string;
  /** Of the log in it. */
  readonly name: string;
}

/** The paths of CRIU's log in the words of a failed checkpoint, as they come: crun under containerd names two. */
export function logPathsIn(said: string): string[] {
  const logs = said.split(/[\s"'`\\]+/).flatMap(pathsInWord);
  if (logs.length > 0) return [...new Set(logs)];
  // CRI-O says how it called the OCI runtime.
  const work = /--work-path"?[ =]"?(\/[^\s"'`\]]+)/.exec(said)?.[1];
  return work === undefined ? [] : [`${work}/dump.log`];
}

const LOG_END = "dump.log";

/** Each from a slash to the next end of a log's name: a pattern would look from each slash on to the end of the word. */
function pathsInWord(word: string): string[] {
  const paths: string[] = [];
  for (let start = word.indexOf("/"); start >= 0;) {
    const end = word.indexOf(LOG_END, start);
    if (end < 0) break;
    paths.push(word.slice(start, end + LOG_END.length));
    start = word.indexOf("/", end);
  }
  return paths;
}

/** Lines of CRIU's log that the answer itself quotes, as CRI-O does with runc's: each `msg="28:(00.077090) Error (…): …"` of logrus. */
export function quotedLog(said: string): string[] {
  const messages = said.split(/\\n|\n|(?=time=\\?")/);
  return messages.flatMap((message) => {
    const line = /\(\d+\.\d+\)\s+(?:Error|Warn|Info)?.*/s.exec(message)?.[0];
    return line === undefined ? [] : [line.replace(/\\?"?\s*$/, "").replaceAll(/\\+"/g, '"')];
  });
}

/** State and root directories of containerd, as it and the distributions that embed it have them. */
const CONTAINERD = [
  "/run/containerd",
  "/var/lib/containerd",
  "/run/k3s/containerd",
  "/var/lib/rancher/k3s/agent/containerd",
  "/var/lib/rancher/rke2/agent/containerd",
  "/run/k0s/containerd",
  "/var/lib/k0s/containerd",
  "/var/snap/microk8s/common/run/containerd",
  "/var/snap/microk8s/common/var/lib/containerd",
];
/** Of containers/storage, which CRI-O uses. */
const STORAGE = ["/var/lib/containers/storage", "/run/containers/storage"];

/**
 * Where the log is, if its path is one that a runtime would use for this very container. The path comes from an error text, and must
 * not be able to name anything else: undefined where it is any other. `containerID` is the pod's: "containerd://…".
 */
export function criuLogOf(path: string, containerID: string): CriuLog | undefined {
  const id = /^[a-z-]+:\/\/([0-9a-f]{12,64})$/.exec(containerID)?.[1];
  const [, directory, name] = /^(\/.*)\/((?:criu-dump|dump)\.log)$/.exec(path) ?? [];
  if (id === undefined || directory === undefined || name === undefined) return undefined;
  const place = directory.replace(/^\/var\/run\//, "/run/");
  const isContainerd = CONTAINERD.some(
    (root) =>
      place === `${root}/io.containerd.runtime.v2.task/k8s.io/${id}` ||
      // Where crun writes it.
      place === `${root}/io.containerd.grpc.v1.cri/containers/${id}/ctrd-checkpoint`,
  );
  const isStorage = STORAGE.some((root) =>
    ["overlay", "vfs", "btrfs", "zfs"].some((driver) => place === `${root}/${driver}-containers/${id}/userdata`),
  );
  return isContainerd || isStorage ? { directory: place, name } : undefined;
}
