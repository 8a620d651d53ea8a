import type { RegistrySettings } from "../../flows/restore/image/registries.ts";
import { group, on, text, type Values } from "./flags.ts";

/** For verbs that push to a registry or pull from one. */
export const REGISTRY = group("Registry options", {
  "ca-file": text({ value: "FILE", help: "trust this CA for the registry too (PEM)" }),
  "plain-http": on("speak HTTP without TLS: everybody on the way reads the dump"),
  "registry-config": text({
    value: "FILE",
    help: "log in with this file alone (default: Podman's and Docker's own, with their credential helpers)",
  }),
  "allow-public": on("push to Docker Hub, quay.io, ghcr.io and the like too"),
});

/** How registries are reached. */
export function registrySettings(flags: Values<typeof REGISTRY>): RegistrySettings {
  return {
    caFile: flags["ca-file"],
    plainHttp: flags["plain-http"],
    registryConfig: flags["registry-config"],
    allowPublic: flags["allow-public"],
  };
}
