// What lies beside an archive: the record of its copy and the volumes that were copied with it, altered as well.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { TAR_END, tarMember } from "../archive/tars.ts";
import { JSON_PARTS, strangeMember } from "./mutate.ts";
import type { Random } from "./random.ts";

const RECORD = "test/data/archives/containerd-suspicious.tar.json";
const VOLUMES = "mutant.volumes.tar";

/** Writes them; answers with their names. */
export function recordBeside(file: string, random: Random): string[] {
  const record = JSON.parse(readFileSync(RECORD, "utf8")) as { items: [Record<string, unknown>] };
  const [item] = record.items;
  item["volumes"] = {
    path: random.oneIn(4) ? random.pick(["../../../etc/passwd", "", "/dev/zero", "mutant.tar"]) : `/elsewhere/${VOLUMES}`,
    bytes: 1,
    sha256: "0".repeat(64),
    mounts: [
      {
        container: item["container"],
        path: random.pick(["/data", "/", "relative", "/tmp"]),
        volume: "cache",
        subPath: random.pick(["", "..", "x"]),
      },
    ],
  };
  let text = JSON.stringify(record);
  for (let count = random.below(3); count > 0; count -= 1) {
    const from = random.below(text.length);
    text = text.slice(0, from) + random.pick(JSON_PARTS) + text.slice(from + random.below(40));
  }
  writeFileSync(`${file}.json`, text);
  const members = Array.from({ length: 1 + random.below(4) }, () =>
    random.oneIn(2) ? strangeMember(random) : tarMember({ name: `cache/${random.below(100)}`, data: random.bytes(random.below(3000)) }),
  );
  const volumes = Buffer.concat([...members, TAR_END]);
  writeFileSync(join(dirname(file), VOLUMES), random.oneIn(3) ? volumes.subarray(0, random.below(volumes.length)) : volumes);
  return ["mutant.tar.json", VOLUMES];
}
