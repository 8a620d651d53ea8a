/** A process with its children. */
export interface TreeNode<P> {
  readonly process: P;
  readonly children: readonly TreeNode<P>[];
}

/** Deeper than this no tree is nested: what is below stands at the top instead. */
const MAX_DEPTH = 256;

/** No process has it. */
const NOBODY = -1;

/**
 * Processes as a forest. Those whose parent is not among them are its roots; so is one process of each ring of parents,
 * which only a forged archive has.
 */
export function processTree<P extends { readonly pid: number; readonly ppid: number | undefined }>(processes: readonly P[]): TreeNode<P>[] {
  const nodes = new Map(processes.map((process) => [process.pid, { process, children: [] as TreeNode<P>[] }]));
  const depths = new Map<number, number>();
  const roots: TreeNode<P>[] = [];
  const place = (pid: number): void => {
    // Up to an ancestor that has a place already, then down again: a deep tree needs no deep stack.
    const path: number[] = [];
    const seen = new Set<number>();
    for (let at = pid; nodes.has(at) && !depths.has(at) && !seen.has(at); at = nodes.get(at)?.process.ppid ?? NOBODY) {
      seen.add(at);
      path.push(at);
    }
    for (const next of path.reverse()) {
      const node = nodes.get(next);
      if (node === undefined) continue;
      const parent = nodes.get(node.process.ppid ?? NOBODY);
      const depth = (depths.get(node.process.ppid ?? NOBODY) ?? MAX_DEPTH) + 1;
      if (parent === undefined || depth > MAX_DEPTH) {
        roots.push(node);
        depths.set(next, 0);
      } else {
        parent.children.push(node);
        depths.set(next, depth);
      }
    }
  };
  for (const { pid } of processes) place(pid);
  return roots;
}
