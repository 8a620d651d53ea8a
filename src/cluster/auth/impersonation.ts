import { usageError } from "../../model/error.ts";
import type { Entry } from "../kubeconfig/options.ts";

/** The headers of a user who acts as another one. Throws a usage error where nobody is named. */
export function impersonation(user: Entry): Record<string, string | string[]> {
  const headers: Record<string, string | string[]> = {};
  const { as, "as-uid": uid, "as-groups": groups, "as-user-extra": extra } = user;
  if (typeof as === "string" && as !== "") headers["impersonate-user"] = as;
  if (typeof uid === "string" && uid !== "") headers["impersonate-uid"] = uid;
  if (Array.isArray(groups) && groups.length > 0) headers["impersonate-group"] = groups.map(String);
  for (const [name, values] of Object.entries(typeof extra === "object" && extra !== null ? extra : {})) {
    headers[`impersonate-extra-${encodeURIComponent(name.toLowerCase())}`] = [values as unknown].flat().map(String);
  }
  if (Object.keys(headers).length > 0 && headers["impersonate-user"] === undefined) {
    throw usageError("--as-group and --as-uid require --as, or as in the kubeconfig", "add --as USER");
  }
  return headers;
}
