// --as, --as-group, --as-uid, and the kubeconfig's own.
import type { Case } from "../table.ts";
import { config } from "./kubeconfig.ts";

const user = { token: "t" };

function as(name: string, more: object, args: readonly string[], arrives: string | RegExp): Case {
  return { name, given: async (site) => ({ kubeconfig: await config(site, { user: { ...user, ...more } }), args }), arrives };
}

export const IMPERSONATION: readonly Case[] = [
  as("--as", {}, ["--as", "ann"], "impersonate-user=ann"),
  as("--as and groups", {}, ["--as", "ann", "--as-group", "b", "--as-group", "a"], "impersonate-group=a+b impersonate-user=ann"),
  as("--as and a UID", {}, ["--as", "ann", "--as-uid", "42"], "impersonate-uid=42 impersonate-user=ann"),
  as(
    "as in the kubeconfig, with all that there is",
    { as: "bo", "as-uid": "7", "as-groups": ["g"], "as-user-extra": { "Reason/why": ["x", "y"], scopes: ["z"] } },
    [],
    "impersonate-user=bo",
  ),
  as("as in the kubeconfig and --as", { as: "bo" }, ["--as", "ann"], "impersonate-user=ann"),
  as("as-groups in the kubeconfig and --as", { as: "bo", "as-groups": ["g"] }, ["--as", "ann"], "impersonate-group=g impersonate-user=ann"),
  as("as in the kubeconfig and --as-group", { as: "bo" }, ["--as-group", "h"], "impersonate-group=h impersonate-user=bo"),
  as(
    "as and as-groups in the kubeconfig and --as-group",
    { as: "bo", "as-groups": ["g"] },
    ["--as-group", "h"],
    "impersonate-group=h impersonate-user=bo",
  ),
  as("as-uid in the kubeconfig and --as", { as: "bo", "as-uid": "7" }, ["--as", "ann"], "impersonate-uid=7 impersonate-user=ann"),
  as("as in the kubeconfig and --as-uid", { as: "bo" }, ["--as-uid", "8"], "impersonate-uid=8 impersonate-user=bo"),
  as("as-user-extra in the kubeconfig and --as", { as: "bo", "as-user-extra": { k: ["v"] } }, ["--as", "ann"], "impersonate-user=ann"),
  as("an empty --as", { as: "bo" }, ["--as="], "impersonate-user=bo"),
  {
    name: "--as-group alone",
    given: async (site) => ({ kubeconfig: await config(site, { user }), args: ["--as-group", "g"] }),
    kubectlSays: /requesting uid, groups or user-extra for .* without impersonating a user|without impersonating/,
    fails: { reason: "Usage", says: /--as USER/ },
  },
  {
    name: "as-groups alone in the kubeconfig",
    given: async (site) => ({ kubeconfig: await config(site, { user: { ...user, "as-groups": ["g"] } }) }),
    kubectlSays: /without impersonating/,
    fails: { reason: "Usage", says: /--as USER/ },
  },
];
