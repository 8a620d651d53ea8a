import type { Mounted } from "../../../criu/mounted.ts";

/**
 * Says of paths below `directory` whether they are mount points, or below one, of what is not in the archive: there is nothing of it but
 * the place.
 */
export function mountPointsBelow(directory: string, all: readonly Mounted[]): (path: string) => boolean {
  const prefixes = all
    .filter(({ path, member, namespace }) => member === undefined && namespace === undefined && path.startsWith(`${directory}/`))
    .map(({ path }) => `${path}/`)
    .sort();
  const outermost: string[] = [];
  for (const prefix of prefixes) if (!prefix.startsWith(outermost.at(-1) ?? "\0")) outermost.push(prefix);
  return (path) => {
    const place = `${path}/`;
    // None begins with another: so only the last that does not come after the place can be where it begins.
    let low = 0;
    let high = outermost.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((outermost[middle] ?? "") <= place) low = middle + 1;
      else high = middle;
    }
    return low > 0 && place.startsWith(outermost[low - 1] ?? "");
  };
}
