import { usageError } from "../model/error.ts";

/** Where an image is, or will be: a registry, a repository in it, and a tag or a digest. */
export interface Reference {
  /** "10.0.0.1:5000", "ghcr.io"; "docker.io" where a short name leaves it out. */
  readonly registry: string;
  readonly repository: string;
  /** "latest" where neither a tag nor a digest was given. */
  readonly tag: string | undefined;
  /** "sha256:…", 64 hexadecimal digits. */
  readonly digest: string | undefined;
}

/** Registries where repositories are public unless somebody made them private: a memory dump has no business there by accident. */
const PUBLIC = new Set([
  "docker.io",
  "quay.io",
  "ghcr.io",
  "gcr.io",
  "public.ecr.aws",
  "registry.gitlab.com",
  "registry.hub.docker.com",
  "codeberg.org",
  "ttl.sh",
]);

const HOST = /^(?:\[[0-9a-f:]+\]|[a-z0-9](?:[-a-z0-9.]*[a-z0-9])?)(?::\d{1,5})?$/i;
/** https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests */
const REPOSITORY = /^[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*(?:\/[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*)*$/;
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^sha256:[0-9a-f]{64}$/;
/** Of names and repositories, in characters. */
const LONGEST = 255;

/** HOST[:PORT]/NAME[:TAG][@DIGEST], short names as Docker reads them. Throws a usage error. */
export function parseReference(text: string): Reference {
  const [beforeDigest = "", digest, more] = text.split("@");
  const slash = beforeDigest.indexOf("/");
  const first = beforeDigest.slice(0, Math.max(0, slash));
  const hasRegistry = slash > 0 && (/[.:]/.test(first) || first === "localhost");
  const registry = hasRegistry ? canonical(first.toLowerCase()) : "docker.io";
  const rest = hasRegistry ? beforeDigest.slice(slash + 1) : beforeDigest;
  const [, name = "", tag] = /^([^:]*)(?::(.*))?$/s.exec(rest) ?? [];
  const repository = registry === "docker.io" && !name.includes("/") ? `library/${name}` : name;
  const sound =
    more === undefined &&
    HOST.test(registry) &&
    REPOSITORY.test(repository) &&
    repository.length <= LONGEST &&
    (tag === undefined || TAG.test(tag)) &&
    (digest === undefined || DIGEST.test(digest));
  if (!sound)
    throw usageError(`invalid image reference "${text}"`, "write it REGISTRY/REPOSITORY:TAG, as registry.example.com/dumps/nginx:1");
  return { registry, repository, tag: tag ?? (digest === undefined ? "latest" : undefined), digest };
}

export function formatReference({ registry, repository, tag, digest }: Reference): string {
  return `${registry}/${repository}${tag === undefined ? "" : `:${tag}`}${digest === undefined ? "" : `@${digest}`}`;
}

/** The same image by its digest, which nobody can move. */
export function pinned({ registry, repository }: Reference, digest: string): string {
  return `${registry}/${repository}@${digest}`;
}

export function isPublic({ registry }: Reference): boolean {
  const host = canonical(registry.toLowerCase().replace(/:\d+$/, ""));
  return PUBLIC.has(host) || host.endsWith(".gcr.io");
}

/** The server of a registry: Docker Hub's has another name. */
export function serverOf({ registry }: Reference): string {
  return registry === "docker.io" ? "registry-1.docker.io" : registry;
}

function canonical(host: string): string {
  return host === "index.docker.io" || host === "registry-1.docker.io" ? "docker.io" : host;
}
