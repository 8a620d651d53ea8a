import { command, say } from "../../model/phrase.ts";
import { baseName, commandLine, isTemporary, originsIn, processName, regionsOf, type FindingKind, type Origin } from "../facts.ts";

/** Programs that do not come from the image. */
export const PROGRAMS: readonly FindingKind[] = [
  program("MemoryExecutable", "memfd", "A program runs from anonymous memory (memfd)", "it has never been in a file"),
  program("DeletedExecutable", "deleted", "A program runs whose file was deleted", "its file was deleted while it runs"),
  program(
    "TemporaryExecutable",
    "temporary",
    "A program runs from a temporary or hidden place: /tmp, /dev/shm, a name that begins with a dot",
    "it lies where anyone may write, or where nobody looks",
  ),
  program(
    "ChangedExecutable",
    "changed",
    "A program runs that the container has written itself: it is not the image's",
    "the container has written that file since it started: it is not the image's",
  ),
  {
    id: "MountedExecutable",
    about: "A program runs from a volume",
    *find({ file, processes }) {
      for (const { item, exe = "", origin } of processes) {
        if (origin !== "mounted") continue;
        yield {
          severity: "note",
          title: say`${processName(item)} runs ${exe}, from a volume`,
          detail: say`what is in a volume is not the image's, and not in the archive`,
          command: command`kubectl checkpoint inspect ${file} --mounts`,
          pid: item.pid,
          path: exe,
        };
      }
    },
  },
  {
    id: "ForeignCode",
    about: "A process has mapped code that is not the image's: a library from memory, a deleted, temporary or changed file",
    *find({ file, inspection, processes, changed }) {
      const originOf = originsIn(inspection, changed);
      for (const { item, exe } of processes) {
        const seen = new Set<string>();
        for (const { access, name, start, kind } of regionsOf(item)) {
          if (
            !access.includes("x") ||
            (kind !== "file" && kind !== "shared") ||
            seen.has(name) ||
            name.replace(/ \(deleted\)$/, "") === exe
          )
            continue;
          seen.add(name);
          const where = WORDS[originOf(name)];
          if (where === undefined) continue;
          yield {
            severity: KNOWN_MEMORY.test(name) ? "note" : "high",
            title: say`${processName(item)} has mapped code of ${name}, ${where}`,
            detail: say`a library that is not the image's runs inside of it`,
            command: command`kubectl checkpoint inspect ${file} --memory --pid ${item.pid}`,
            pid: item.pid,
            path: name,
            address: start,
          };
        }
      }
    },
  },
  {
    id: "NotOfImage",
    about: "With --base-image: the image has no program or library of that name, or another one than the one that is mapped",
    *find({ file, processes, foreign }) {
      for (const [path, how] of foreign) {
        const users = processes.filter(({ item, exe }) => exe === path || regionsOf(item).some(({ name }) => name === path));
        const [first] = users;
        if (first === undefined) continue;
        const more = users.length === 1 ? say`` : say`, and ${users.length - 1} more`;
        yield {
          severity: "high",
          title: say`${processName(first.item)} has mapped ${path}, which is not the image's${more}`,
          detail: how === "missing" ? say`the image has no such file` : say`the image has another file there, by its build ID`,
          command: command`kubectl checkpoint inspect ${file} --memory --pid ${first.item.pid}`,
          pid: first.item.pid,
          path,
        };
      }
    },
  },
  {
    id: "DroppedProgram",
    about: "A program or executable script was written to a temporary or hidden place",
    *find({ file, changes }) {
      for (const { path, content, executable } of changes) {
        const isProgram = content === "ELF" || (executable === true && content === "script");
        if (!isProgram || !isTemporary(path)) continue;
        yield {
          severity: "medium",
          title: say`${path} is ${content === "ELF" ? "a program" : "an executable script"} in a temporary or hidden place`,
          detail: say`images do not put programs there: the container has written it`,
          command: command`kubectl checkpoint extract ${file} ${path}`,
          path,
        };
      }
    },
  },
];

/** Anonymous memory that just-in-time compilers and libffi have their code in. */
const KNOWN_MEMORY = /^\/?memfd:(doublemapper|libffi|jit|JITCode|.*jit.*)\b/i;

const WORDS: Partial<Record<Origin, string>> = {
  memfd: "anonymous memory (memfd)",
  deleted: "a deleted file",
  temporary: "in a temporary or hidden place",
  changed: "which the container has written itself",
};

function program(id: string, wanted: Origin, about: string, why: string): FindingKind {
  return {
    id,
    about,
    *find({ file, processes }) {
      const byProgram = Map.groupBy(
        processes.filter(({ origin }) => origin === wanted),
        ({ exe = "" }) => exe,
      );
      for (const [exe, all] of byProgram) {
        const [first, ...others] = all;
        if (first === undefined) continue;
        const more = others.length === 0 ? say`` : say`, and ${others.length} more`;
        yield {
          severity: "high",
          title: say`${processName(first.item)} runs ${exe}: ${commandLine(first.item)}${more}`,
          detail: say`${why}`,
          command: hasBytes(wanted)
            ? command`kubectl checkpoint extract ${file} ${exe} --to ${`${baseName(exe).replace(/^memfd:/, "") || "program"}.bin`}`
            : command`kubectl checkpoint inspect ${file} --ps --files --pid ${first.item.pid}`,
          pid: first.item.pid,
          path: exe,
        };
      }
    },
  };
}

/** Whether the archive has what runs. */
function hasBytes(origin: Origin): boolean {
  return origin === "memfd" || origin === "deleted" || origin === "changed";
}
