// What the plugin asks an API server for a pod, with kubectl's flags: as a function, and as a program whose last word is JSON.
import { getPod } from "../../src/cluster/pods.ts";
import { readWords } from "../../src/cli/words.ts";
import { parseFlags } from "../../src/cli/parse.ts";
import type { VerbEntry } from "../../src/cli/table.ts";
import { Connection } from "../../src/cluster/connection.ts";
import { CLUSTER, connectionOptions } from "../../src/commands/shared/cluster.ts";
import { shapesOf, valuesOf } from "../../src/commands/shared/flags.ts";
import { UserError } from "../../src/model/error.ts";
import { context } from "../fakes.ts";

export interface Answered {
  /** Undefined where the pod came. */
  readonly error: { readonly reason: string; readonly text: string } | undefined;
}

/** With the flags that every verb with a cluster has, and without loading one. */
const VERB: VerbEntry = { name: "checkpoint", summary: "", usage: [], help: "", flags: shapesOf(CLUSTER) };

export async function ask(args: readonly string[], env: NodeJS.ProcessEnv, times = 1): Promise<Answered> {
  const abort = new AbortController();
  let connection: Connection | undefined;
  try {
    connection = await Connection.open(
      connectionOptions(valuesOf(CLUSTER, parseFlags(readWords(args, [VERB])))),
      context(abort.signal, env),
    );
    for (let time = 0; time < times; time += 1) await getPod(connection, connection.namespace, "nginx");
    return { error: undefined };
  } catch (error) {
    if (!(error instanceof UserError)) throw error;
    const { reason, message, why, fix } = error;
    return { error: { reason, text: [message, why, fix].filter((part) => part !== undefined).join("\n") } };
  } finally {
    await connection?.close();
  }
}

if (import.meta.main) process.stdout.write(JSON.stringify(await ask(process.argv.slice(2), process.env)));
