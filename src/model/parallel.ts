/** Works on all items, at most so many at once. The first error ends it: what has begun is waited for, the rest is not begun. */
export async function inParallel<T>(items: readonly T[], limit: number, work: (item: T) => Promise<void>): Promise<void> {
  const waiting = [...items];
  let failed = false;
  const worker = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined && !failed; next = waiting.shift()) {
      try {
        await work(next);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ends = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, worker));
  const bad = ends.find((end) => end.status === "rejected");
  if (bad !== undefined) throw bad.reason;
}
