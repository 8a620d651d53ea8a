import { openArchive } from "../../archive/open.ts";
import { fileTable } from "../../criu/files/table.ts";
import { UserError } from "../../model/error.ts";

const NAMED = 5;

/** What in an archive CRIU is known to stumble over when it restores; a sentence each. Never throws a UserError. */
export async function suspicions(path: string, signal: AbortSignal): Promise<string[]> {
  try {
    await using archive = await openArchive(path, { signal });
    const { files } = await fileTable(archive);
    const sockets = [...files.values()].flatMap(({ socket }) => socket ?? []);
    const connected = sockets.filter(({ protocol, state }) => protocol === "tcp" && state === "ESTABLISHED");
    if (connected.length === 0) return [];
    const shown = connected.slice(0, NAMED).map(({ local, remote }) => `${local} to ${remote}`);
    return [
      `it had ${connected.length} established TCP connections (${shown.join(", ")}${connected.length > NAMED ? ", …" : ""}): CRIU restores them only with tcp-established in /etc/criu/runc.conf of the node, at the same address`,
    ];
  } catch (error) {
    if (error instanceof UserError) return [];
    throw error;
  }
}
