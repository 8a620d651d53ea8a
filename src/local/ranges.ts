/** Half-open ranges of bytes [begin, end) that are there already: sorted, apart from each other. */
export type Ranges = readonly (readonly [begin: number, end: number])[];

export function withRange(ranges: Ranges, begin: number, end: number): Ranges {
  if (begin >= end) return ranges;
  let [first, last] = [begin, end];
  const apart = ranges.filter(([from, to]) => {
    if (to < first || from > last) return true;
    first = Math.min(first, from);
    last = Math.max(last, to);
    return false;
  });
  return [...apart, [first, last] as const].sort(([a], [b]) => a - b);
}

/** What is missing of `size` bytes. */
export function gaps(ranges: Ranges, size: number): Ranges {
  const begins = [0, ...ranges.map(([, end]) => end)];
  const ends = [...ranges.map(([begin]) => begin), size];
  return begins.map((begin, index) => [begin, ends[index] ?? size] as const).filter(([begin, end]) => begin < end);
}

export function totalBytes(ranges: Ranges): number {
  return ranges.reduce((total, [begin, end]) => total + end - begin, 0);
}

/** How many bytes are there from the beginning on, without a gap. */
export function prefix(ranges: Ranges): number {
  const [first] = ranges;
  return first !== undefined && first[0] === 0 ? first[1] : 0;
}

/** Whether these came from a file of ours: nothing else is resumed from. */
export function isRanges(value: unknown, size: number): value is Ranges {
  if (!Array.isArray(value)) return false;
  let at = -1;
  return value.every((range: unknown) => {
    if (!Array.isArray(range) || range.length !== 2) return false;
    const [begin, end] = range as [unknown, unknown];
    const fits = Number.isSafeInteger(begin) && Number.isSafeInteger(end) && (begin as number) > at && (begin as number) < (end as number);
    at = end as number;
    return fits && at <= size;
  });
}
