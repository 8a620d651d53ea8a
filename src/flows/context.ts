import type { Connection } from "../cluster/connection.ts";
import type { Context } from "../model/context.ts";

/** What a flow that talks with a cluster is given. */
export interface FlowContext extends Context {
  readonly connection: Connection;
}
