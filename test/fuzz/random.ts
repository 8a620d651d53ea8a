// Numbers that look random and come again with the same seed (xorshift32 after a mixing step).

export interface Random {
  /** A whole number from 0 up to, without, `below`. */
  below(below: number): number;
  /** True once in `times`. */
  oneIn(times: number): boolean;
  pick<T>(items: readonly T[]): T;
  /** So many of them, each once, in their order. */
  some<T>(items: readonly T[], count: number): T[];
  bytes(length: number): Buffer;
}

export function randomOf(seed: number, index: number): Random {
  let state = Math.imul(seed ^ 0x9e3779b9, 0x85ebca6b) ^ Math.imul(index + 1, 0xc2b2ae35) || 1;
  const next = (): number => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
  for (let warm = 0; warm < 8; warm += 1) next();
  const below = (limit: number): number => (limit <= 1 ? 0 : next() % limit);
  return {
    below,
    oneIn: (times) => below(times) === 0,
    pick: (items) => {
      const item = items[below(items.length)];
      if (item === undefined) throw new Error("nothing to pick from");
      return item;
    },
    some: (items, count) => {
      const chosen = new Set<number>();
      while (chosen.size < Math.min(count, items.length)) chosen.add(below(items.length));
      return items.filter((_, index) => chosen.has(index));
    },
    bytes: (length) => Buffer.from(Array.from({ length }, () => below(256))),
  };
}
