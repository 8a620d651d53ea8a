import { REGISTRY_FLAGS } from "./registry-flags.ts";
import { COMMON_FLAGS, outputFlag } from "./shared.ts";
import type { Verb } from "./verb.ts";

const COMPRESS = ["zstd", "gzip", "none"] as const;

export const imageVerb: Verb = {
  name: "image",
  summary: "Make an image of an archive that runtimes restore from",
  usage: ["image FILE REFERENCE (--push | --to oci:DIR | --to oci-archive:FILE) [--compress zstd|gzip|none] [options]"],
  description: `Make an OCI image of an archive on this machine, which containerd, CRI-O and Podman restore the container from. Its one
layer is the archive, byte for byte; it is read once, and needs neither root nor a daemon.

FILE is an archive of containerd, CRI-O or Podman: plain, gzip or zstd, or "-" for standard input. REFERENCE is
REGISTRY/REPOSITORY:TAG. --push sends it to the registry in pieces, goes on after a cut as far as the registry allows, and sends no
layer that the registry has already. --to writes an OCI layout (a new directory, or a layout to add to) or an OCI archive.

A checkpoint holds all memory of its processes: whoever may pull the image can read passwords and keys in it. The first push to a
reference asks (--yes answers), well-known public registries are refused without --allow-public. Where FILE.json lies beside FILE,
as copying leaves it, the image also has the pod's manifest, for "kubectl checkpoint restore --image REFERENCE".`,
  examples: [
    { what: "To a registry", command: "kubectl checkpoint image nginx.tar registry.example.com/dumps/nginx:1 --push" },
    {
      what: "To one with a CA of its own, compressed, asking nothing",
      command: "kubectl checkpoint image nginx.tar registry.local:5000/nginx:1 --push --compress zstd --ca-file ca.crt --yes",
    },
    {
      what: "For skopeo, or for ctr images import",
      command: "kubectl checkpoint image nginx.tar dumps/nginx:1 --to oci-archive:nginx-image.tar",
    },
    {
      what: "Straight from a node, without a file here",
      command: "kubectl checkpoint cp node1:checkpoint-a.tar - | kubectl checkpoint image - registry.local:5000/a:1 --push --yes",
    },
  ],
  flags: [
    { name: "push", takes: "nothing", help: "push it to the registry" },
    { name: "to", takes: "value", value: "oci:DIR|oci-archive:FILE", help: "write it to this machine" },
    {
      name: "compress",
      takes: "value",
      value: COMPRESS.join("|"),
      choices: COMPRESS,
      help: "compression of the layer (default: FILE as it is)",
    },
    outputFlag("name", "json", "yaml"),
  ],
  sharedFlags: [REGISTRY_FLAGS, COMMON_FLAGS],
  load: async () => await import("../../commands/image.ts"),
};
