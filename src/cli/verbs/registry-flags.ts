import type { FlagGroup } from "./verb.ts";

/** For verbs that push to a registry or pull from one. */
export const REGISTRY_FLAGS: FlagGroup = {
  title: "Registry options",
  flags: [
    { name: "ca-file", takes: "value", value: "FILE", help: "trust this CA for the registry too (PEM)" },
    { name: "plain-http", takes: "nothing", help: "speak HTTP without TLS: everybody on the way reads the dump" },
    {
      name: "registry-config",
      takes: "value",
      value: "FILE",
      help: "log in with this file alone (default: Podman's and Docker's own, with their credential helpers)",
    },
    { name: "allow-public", takes: "nothing", help: "push to Docker Hub, quay.io, ghcr.io and the like too" },
  ],
};
