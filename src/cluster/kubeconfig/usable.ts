import { UserError } from "../../model/error.ts";
import { say, type Phrase } from "../../model/phrase.ts";
import { string } from "../../model/json.ts";
import type { Entry, Selection } from "./options.ts";

const EXEC_VERSIONS = new Set(["client.authentication.k8s.io/v1", "client.authentication.k8s.io/v1beta1"]);
const EXEC_MODES = new Set(["Never", "IfAvailable", "Always"]);

/** Throws where a cluster or a user says two things at once, or one that nobody can do: as kubectl, before anything is sent. */
export function ensureUsable({ cluster, clusterName, user, userName }: Selection): void {
  const ofCluster = (why: Phrase): UserError => invalid(say`cannot use the cluster "${clusterName}"`, why);
  const ofUser = (why: Phrase): UserError => invalid(say`cannot use the user "${userName}"`, why);
  ensureOne(cluster, "certificate-authority", ofCluster);
  ensureOne(user, "client-certificate", ofUser);
  ensureOne(user, "client-key", ofUser);
  if (
    cluster["insecure-skip-tls-verify"] === true &&
    (has(cluster, "certificate-authority") || has(cluster, "certificate-authority-data"))
  ) {
    throw ofCluster(say`it has both certificate-authority and insecure-skip-tls-verify`);
  }
  // Over plain HTTP neither is sent.
  if (/^http:|^(?!.*:\/\/)/.test(cluster.server)) return;
  const hasToken = has(user, "token") || has(user, "tokenFile");
  if (hasToken && (has(user, "username") || has(user, "password"))) throw ofUser(say`it has both a token and a password`);
  const { exec } = user;
  if (exec === undefined) return;
  if (user["auth-provider"] !== undefined) throw ofUser(say`it has both exec and auth-provider`);
  ensurePlugin(exec as Entry, ofUser);
}

function ensurePlugin(exec: Entry, fail: (why: Phrase) => UserError): void {
  const [command, apiVersion, mode] = ["command", "apiVersion", "interactiveMode"].map((name) => string(exec[name]));
  if (!command) throw fail(say`its exec plugin has no command`);
  if (!apiVersion) throw fail(say`its exec plugin ${command} has no apiVersion`);
  if (!EXEC_VERSIONS.has(apiVersion)) {
    throw fail(say`its exec plugin ${command} has the apiVersion ${apiVersion}; ${[...EXEC_VERSIONS].join(" and ")} are supported`);
  }
  if (!mode) {
    if (apiVersion === "client.authentication.k8s.io/v1") throw fail(say`its exec plugin ${command} has no interactiveMode`);
  } else if (!EXEC_MODES.has(mode)) {
    throw fail(say`its exec plugin ${command} has the interactiveMode "${mode}"; use ${[...EXEC_MODES].join(", ")}`);
  }
}

function ensureOne(entry: Entry, name: string, fail: (why: Phrase) => UserError): void {
  if (has(entry, name) && has(entry, `${name}-data`)) throw fail(say`it has both ${name} and ${name}-data`);
}

function has(entry: Entry, name: string): boolean {
  return typeof entry[name] === "string" && entry[name] !== "";
}

function invalid(message: Phrase, why: Phrase): UserError {
  return new UserError({ reason: "KubeconfigInvalid", message, why });
}
