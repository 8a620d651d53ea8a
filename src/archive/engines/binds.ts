import { list, object } from "../../model/json.ts";
import type { Archive } from "../archive.ts";
import { readObject } from "../read.ts";
import { text } from "./files.ts";

/** Where something of the node is mounted in the container: volumes, and what the engine itself mounts. Throws a UserError where the specification cannot be read. */
export async function boundPaths(archive: Archive): Promise<string[]> {
  return list((await readObject(archive, "spec.dump"))["mounts"]).flatMap((mount) => {
    const { type, destination } = object(mount);
    return type === "bind" ? (text(destination) ?? []) : [];
  });
}
