// The house's rules: imports go down, from cmd to model, and only some rooms know each other; nobody prints but cmd and cli, and nobody ends the process but cmd.
import { dirname, relative, resolve } from "node:path";

const ROOMS = new Set([
  "age",
  "archive",
  "cluster",
  "criu",
  "cores",
  "doctor",
  "elf",
  "evidence",
  "findings",
  "helper",
  "image",
  "kubelet",
  "local",
  "report",
  "restore",
  "sandbox",
  "threads",
  "transfer",
  "yara",
]);
const LAYERS = ["cmd", "cli", "commands", "flows", "room", "model"];
const BETWEEN_ROOMS: Record<string, string[]> = {
  transfer: ["helper", "local"],
  archive: ["age", "local"],
  evidence: ["local"],
  cluster: ["local"],
  helper: ["cluster"],
  kubelet: ["cluster"],
  restore: ["image"],
  sandbox: ["archive", "criu"],
  criu: ["archive"],
  threads: ["archive", "criu"],
  cores: ["archive", "criu", "elf"],
  image: ["age", "archive", "local"],
  doctor: ["kubelet", "helper", "cluster"],
};

/** Rooms that need a cluster: flows that read archives on this machine use none of them. */
const CLUSTER_ROOMS = new Set(["cluster", "doctor", "helper", "kubelet", "transfer"]);
const OFFLINE_FLOWS = "flows/examine/";

const root = resolve(import.meta.dirname, "..");

/** "cmd", or the first folder below src; undefined elsewhere (tests may import anything). */
function roomOf(file: string): string | undefined {
  const [top, room] = relative(root, file).split(/[/\\]/);
  return top === "cmd" ? "cmd" : top === "src" ? room : undefined;
}

function layerOf(room: string): number {
  return LAYERS.indexOf(ROOMS.has(room) ? "room" : room);
}

function complaint(from: string, to: string): string | undefined {
  if (from === to) return undefined;
  if (layerOf(to) < 0) return `src/${to} is not a room of the house (design/house.md)`;
  if (ROOMS.has(from) && ROOMS.has(to)) {
    return (BETWEEN_ROOMS[from] ?? []).includes(to) ? undefined : `the room ${from} must not know the room ${to}`;
  }
  return layerOf(from) < layerOf(to) ? undefined : `imports go down: ${from} must not import ${to}`;
}

/** An identifier, or a string in its place. */
interface NameNode {
  readonly name?: string;
  readonly value?: unknown;
}

interface MemberNode {
  readonly object: NameNode & { readonly property?: NameNode };
  readonly property: NameNode;
}

interface DeclaratorNode {
  readonly id: { readonly type: string; readonly properties?: readonly { readonly key?: NameNode }[] };
  readonly init: NameNode | null;
}

interface ImportNode {
  readonly source: { readonly value?: unknown } | null;
  /** Without `imported`: a default or a whole module. */
  readonly specifiers?: readonly { readonly imported?: NameNode }[];
}

type Node = ImportNode | MemberNode | DeclaratorNode;

interface RuleContext {
  readonly filename: string;
  report(problem: { readonly node: Node; readonly message: string }): void;
}

/** An offline flow may use other offline flows and rooms without a cluster. */
function offlineComplaint(from: string, to: string): string | undefined {
  if (!from.startsWith(OFFLINE_FLOWS)) return undefined;
  const room = to.split("/")[0] ?? "";
  if (CLUSTER_ROOMS.has(room)) return `${OFFLINE_FLOWS} works without a cluster: it must not import src/${room}`;
  return room === "flows" && !to.startsWith(OFFLINE_FLOWS) ? `${OFFLINE_FLOWS} must not import other flows: src/${to}` : undefined;
}

/** Below src, with "/" between folders. */
function belowSource(file: string): string {
  return relative(resolve(root, "src"), file).replaceAll("\\", "/");
}

const importsGoDown = {
  create(context: RuleContext) {
    const from = roomOf(context.filename);
    const check = (node: ImportNode): void => {
      const target = node.source?.value;
      if (from === undefined || typeof target !== "string" || !target.startsWith(".")) return;
      const file = resolve(dirname(context.filename), target);
      const to = roomOf(file);
      const message =
        to === undefined ? undefined : (complaint(from, to) ?? offlineComplaint(belowSource(context.filename), belowSource(file)));
      if (message !== undefined) context.report({ node, message });
    };
    return { ImportDeclaration: check, ImportExpression: check, ExportNamedDeclaration: check, ExportAllDeclaration: check };
  },
};

/** What prints and what ends the process, and who may. */
const PRINTS = /^std(out|err)$/;
const ENDS = /^(exit|exitCode|reallyExit|abort)$/;

const onePrinter = {
  create(context: RuleContext) {
    const from = roomOf(context.filename);
    if (from === undefined || from === "cmd") return {};
    const check = (node: Node, name: string): void => {
      if (PRINTS.test(name) && from !== "cli") context.report({ node, message: `only src/cli prints: src/${from} must not` });
      if (ENDS.test(name)) context.report({ node, message: `only cmd ends the process: src/${from} must not` });
    };
    return {
      MemberExpression(node: MemberNode): void {
        // process.stdout, process["stdout"], globalThis.process.stdout
        if (node.object.name === "process" || node.object.property?.name === "process") check(node, nameOf(node.property));
      },
      VariableDeclarator(node: DeclaratorNode): void {
        if (node.init?.name !== "process" || node.id.type !== "ObjectPattern") return;
        // A process of an archive may be called so, too; it has an exit, and no stdout.
        const names = (node.id.properties ?? []).map(({ key }) => nameOf(key ?? {}));
        for (const name of names) if (PRINTS.test(name)) check(node, name);
      },
      ImportDeclaration(node: ImportNode): void {
        const source = String(node.source?.value).replace(/^node:/, "");
        if (source === "console") context.report({ node, message: `only src/cli prints: src/${from} must not` });
        if (source !== "process") return;
        for (const { imported } of node.specifiers ?? []) {
          if (imported !== undefined) check(node, nameOf(imported));
          else context.report({ node, message: `of node:process src/${from} imports what it needs by name` });
        }
      },
    };
  },
};

function nameOf({ name, value }: NameNode): string {
  return name ?? (typeof value === "string" ? value : "");
}

export default { meta: { name: "rooms" }, rules: { "imports-go-down": importsGoDown, "one-printer": onePrinter } };
