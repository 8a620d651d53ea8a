import assert from "node:assert/strict";
import { test } from "node:test";
import { processTree, type TreeNode } from "../../src/criu/tree.ts";

type P = { pid: number; ppid: number };

const shape = (nodes: readonly TreeNode<P>[]): unknown =>
  nodes.map(({ process, children }) => (children.length === 0 ? process.pid : [process.pid, shape(children)]));
const count = (nodes: readonly TreeNode<P>[]): number => nodes.reduce((sum, { children }) => sum + 1 + count(children), 0);

test("a forest in the order given, whoever comes first", () => {
  const processes = [
    { pid: 5, ppid: 2 },
    { pid: 1, ppid: 0 },
    { pid: 2, ppid: 1 },
    { pid: 3, ppid: 1 },
    { pid: 9, ppid: 77 },
  ];
  assert.deepEqual(shape(processTree(processes)), [[1, [[2, [5]], 3]], 9]);
});

test("rings of parents end, and nobody is lost", () => {
  const ring = [
    { pid: 1, ppid: 3 },
    { pid: 2, ppid: 1 },
    { pid: 3, ppid: 2 },
    { pid: 4, ppid: 4 },
  ];
  assert.equal(count(processTree(ring)), 4);
});

test("a chain of 100,000 processes neither overflows the stack nor nests without end", () => {
  const chain = Array.from({ length: 100_000 }, (_, index) => ({ pid: index + 1, ppid: index }));
  for (const order of [chain, chain.toReversed()]) {
    const tree = processTree(order);
    assert.equal(count(tree), 100_000);
    assert.doesNotThrow(() => JSON.stringify(tree));
  }
});
