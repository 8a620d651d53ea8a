import type { RegistrySettings } from "../../flows/restore/image/registries.ts";
import { group, on, text, type Values } from "./flags.ts";

/** For verbs that push to a registry or pull from one. */
export const REGISTRY = group("Registry", {
  "ca-file": text({ value: "FILE", help: "trust the CA certificates in this PEM file, in addition to the usual ones" }),
  "plain-http": on("use HTTP without TLS: everybody on the network path can read the dump"),
  "registry-config": text({
    value: "FILE",
    help: "read credentials from this file only (default: those of Podman and Docker)",
  }),
  "allow-public": on("allow a push to Docker Hub, quay.io, ghcr.io and similar registries"),
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
