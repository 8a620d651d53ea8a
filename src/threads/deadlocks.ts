/** Threads, and whole processes of which any thread will do, by a key each. */
export interface WaitNode {
  /** What has to go on before it can: all of these wait, and it waits for ever. Empty where nothing can help it any more. */
  readonly needs: readonly string[];
}

/**
 * The groups of nodes that wait for each other for ever: rings, nodes that need themselves, and those that nothing can help. Nodes that
 * are not given go on by themselves sooner or later. Those that merely wait for such a group are in none.
 */
export function deadlocks(nodes: ReadonlyMap<string, WaitNode>): string[][] {
  const stuck = stuckNodes(nodes);
  return components(stuck, nodes).filter(([first = "", ...more]) => {
    const needs = nodes.get(first)?.needs ?? [];
    return more.length > 0 || needs.length === 0 || needs.includes(first);
  });
}

/** A node that needs one that goes on goes on too: what is left never does. */
function stuckNodes(nodes: ReadonlyMap<string, WaitNode>): Set<string> {
  const needers = new Map<string, string[]>();
  const free: string[] = [];
  const stuck = new Set(nodes.keys());
  for (const [key, { needs }] of nodes) {
    for (const need of needs) {
      const all = needers.get(need);
      if (all === undefined) needers.set(need, [key]);
      else all.push(key);
      if (!nodes.has(need)) free.push(need);
    }
  }
  for (let next = free.pop(); next !== undefined; next = free.pop()) {
    for (const needer of needers.get(next) ?? []) if (stuck.delete(needer)) free.push(needer);
  }
  return stuck;
}

/** Strongly connected components (Tarjan), without recursion: chains may be long. */
function components(stuck: ReadonlySet<string>, nodes: ReadonlyMap<string, WaitNode>): string[][] {
  const found: string[][] = [];
  const order = new Map<string, number>();
  const low = new Map<string, number>();
  const path: string[] = [];
  const onPath = new Set<string>();
  const enter = (key: string): Visit => {
    order.set(key, order.size);
    low.set(key, order.size - 1);
    path.push(key);
    onPath.add(key);
    return { key, needs: nodes.get(key)?.needs ?? [], at: 0 };
  };
  const lower = (key: string, to: number): void => {
    low.set(key, Math.min(low.get(key) ?? to, to));
  };
  for (const root of stuck) {
    if (order.has(root)) continue;
    const visits = [enter(root)];
    for (let visit = visits.at(-1); visit !== undefined; visit = visits.at(-1)) {
      const { key, needs } = visit;
      const next = needs[visit.at];
      if (next !== undefined) {
        visit.at += 1;
        if (!order.has(next)) visits.push(enter(next));
        else if (onPath.has(next)) lower(key, order.get(next) ?? 0);
        continue;
      }
      visits.pop();
      const above = visits.at(-1);
      if (above !== undefined) lower(above.key, low.get(key) ?? 0);
      if (low.get(key) !== order.get(key)) continue;
      const component = path.splice(path.lastIndexOf(key));
      for (const member of component) onPath.delete(member);
      found.push(component);
    }
  }
  return found;
}

interface Visit {
  readonly key: string;
  readonly needs: readonly string[];
  at: number;
}
