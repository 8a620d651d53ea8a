import { createHash } from "node:crypto";
import { UserError } from "../../model/error.ts";
import { list, object, string } from "../../model/json.ts";
import { joined, say } from "../../model/phrase.ts";
import type { OpenArchive, RemoteImage } from "../archive.ts";
import { isCheckpoint } from "../engines/engine.ts";
import { openBytes, orNoArchive } from "../bytes.ts";
import { readJson } from "../read.ts";
import { pieces } from "../sources.ts";
import type { Unwrapping } from "./unwrap.ts";

/** An index may point to indexes, so deep. */
const DEEPEST = 3;
const MOST_IMAGES = 1000;
const MOST_LAYERS = 64;
/** How tools name an image in an index: containerd, and everybody. */
const NAMES = ["io.containerd.image.name", "org.opencontainers.image.ref.name"];
/** How the engines tell the image of a checkpoint. */
const MARK = /^(org\.criu\.checkpoint\.|io\.kubernetes\.cri-o\.annotations\.checkpoint\.|io\.podman\.annotations\.checkpoint\.)/;
const INDEX_TYPE = /^application\/vnd\.(oci\.image\.index|docker\.distribution\.manifest\.list)\.v\d\+json$/;

interface FoundImage {
  readonly names: readonly string[];
  readonly digest: string | undefined;
  /** Whether its annotations say that it is a checkpoint's. */
  readonly marked: boolean;
  /** Members that hold its layers, the first lowest; with their digests, where they are known. */
  readonly layers: readonly { readonly member: string; readonly digest: string | undefined }[];
  readonly problems: readonly string[];
}

/**
 * Opens the layer of an image that holds a checkpoint: in an OCI layout (https://github.com/opencontainers/image-spec/blob/main/image-layout.md),
 * as a directory or a tar archive, or in an archive of `docker save`. Throws a UserError where there is none, or several.
 */
export async function layerOf(archive: OpenArchive, options: Unwrapping): Promise<OpenArchive> {
  const images = archive.members.has("index.json") ? await inLayout(archive) : await inDockerArchive(archive);
  const image = chosen(images, options);
  for (const { member, digest } of image.layers.slice(-MOST_LAYERS).reverse()) {
    const opened = openBytes(archive.open(member), `the layer of ${options.label}`, { ...options, budget: archive.budget, counted: true });
    const layer = await orNoArchive(opened);
    if (layer === undefined || !isCheckpoint(layer)) {
      await layer?.[Symbol.asyncDispose]();
      continue;
    }
    const around = archive.problems.map((problem) => `the image: ${problem}`);
    return {
      ...layer,
      problems: [...around, ...image.problems, ...layer.problems],
      image: {
        digest: image.digest,
        names: image.names,
        problems: async () => (digest === undefined ? [] : await digestProblem(archive, member, digest)),
      },
      async [Symbol.asyncDispose]() {
        await layer[Symbol.asyncDispose]();
        await archive[Symbol.asyncDispose]();
      },
    };
  }
  throw noCheckpoint(options.label, image);
}

/** All layers of an image, whatever is in them; the archive is closed with it. Throws a UserError where there is no such image, or several. */
export async function layersOf(archive: OpenArchive, options: Unwrapping): Promise<RemoteImage> {
  const { members } = archive;
  if (!members.has("index.json") && !members.has("manifest.json"))
    throw new UserError({
      reason: "ImageNotFound",
      message: say`there is no image in ${options.label}`,
      why: "it is neither an OCI layout nor an archive of Docker",
    });
  const { layers, digest } = chosen(members.has("index.json") ? await inLayout(archive) : await inDockerArchive(archive), options);
  return {
    digest: digest ?? "",
    layers: layers.map((layer) => ({
      bytes: members.get(layer.member)?.size ?? 0,
      open: () => checked(archive, layer.member, layer.digest),
    })),
    [Symbol.asyncDispose]: async () => await archive[Symbol.asyncDispose](),
  };
}

/** The bytes of a blob. Throws a UserError at the end where they are not those of its digest. */
async function* checked(archive: OpenArchive, member: string, digest: string | undefined): AsyncGenerator<Buffer, void> {
  const [algorithm = "sha256", hex] = digest?.split(":") ?? [];
  const hash = createHash(algorithm);
  for await (const piece of pieces(archive.open(member))) {
    hash.update(piece);
    yield piece;
  }
  const actual = hash.digest("hex");
  if (hex !== undefined && actual !== hex)
    throw new UserError({ reason: "DigestMismatch", message: say`the image's blob ${digest ?? ""} is ${algorithm}:${actual}` });
}

async function inLayout(archive: OpenArchive): Promise<FoundImage[]> {
  const images: FoundImage[] = [];
  // One that points to itself, or to another many times, is gone through once.
  const visited = new Set<string>();
  const visit = async (descriptors: unknown, names: readonly string[], depth: number): Promise<void> => {
    for (const descriptor of list(descriptors).map(object)) {
      const { digest, mediaType, annotations } = descriptor;
      const member = blobName(string(digest));
      if (member === undefined || visited.has(member) || !archive.members.has(member) || images.length >= MOST_IMAGES) continue;
      const own = NAMES.map((key) => string(object(annotations)[key])).filter((name) => name !== "");
      const manifest = object(await readJson(archive, member));
      const called = [...new Set([...names, ...own])];
      if (INDEX_TYPE.test(string(mediaType)) || INDEX_TYPE.test(string(manifest["mediaType"]))) {
        visited.add(member);
        if (depth < DEEPEST) await visit(manifest["manifests"], called, depth + 1);
        continue;
      }
      images.push({
        names: called,
        digest: string(digest),
        marked: isMarked(manifest["annotations"]) || isMarked(annotations),
        layers: list(manifest["layers"]).flatMap((layer) => layerIn(string(object(layer)["digest"]))),
        problems: await digestProblem(archive, member, string(digest)),
      });
    }
  };
  await visit(object(await readJson(archive, "index.json"))["manifests"], [], 0);
  return images;
}

function layerIn(digest: string): FoundImage["layers"] {
  const member = blobName(digest);
  return member === undefined ? [] : [{ member, digest }];
}

/** manifest.json of `docker save`: a list of images, each with the members that hold its layers. */
async function inDockerArchive(archive: OpenArchive): Promise<FoundImage[]> {
  return list(await readJson(archive, "manifest.json"))
    .slice(0, MOST_IMAGES)
    .map(object)
    .map(({ RepoTags: tags, Layers: layers }) => ({
      names: list(tags).map(string),
      digest: undefined,
      marked: false,
      layers: list(layers).map((member) => ({ member: string(member), digest: undefined })),
      problems: [],
    }));
}

function chosen(images: readonly FoundImage[], { label, wanted }: Unwrapping): FoundImage {
  const named =
    wanted === undefined ? images : images.filter(({ names, digest }) => digest === wanted || names.some((name) => isName(name, wanted)));
  const marked = named.filter((image) => image.marked);
  const [image, more] = marked.length > 0 ? marked : named;
  if (image === undefined) {
    throw new UserError({
      reason: "ImageNotFound",
      message: wanted === undefined ? say`there is no image in ${label}` : say`there is no image ${wanted} in ${label}`,
      why: images.length === 0 ? undefined : say`it has ${namesOf(images)}`,
    });
  }
  if (more !== undefined) {
    throw new UserError({
      reason: "ImageAmbiguous",
      message: say`there are ${named.length} images in ${label}: ${namesOf(named)}`,
      fix: say`name one of them: oci:DIR:NAME or oci-archive:FILE:NAME`,
      exitCode: 2,
    });
  }
  return image;
}

function isName(name: string, wanted: string): boolean {
  return name === wanted || name.endsWith(`:${wanted}`) || name.endsWith(`/${wanted}`);
}

function namesOf(images: readonly FoundImage[]) {
  return joined(
    images.slice(0, 10).map(({ names, digest }) => names[0] ?? digest ?? "one without a name"),
    ", ",
  );
}

function noCheckpoint(label: string, { names, digest }: FoundImage): UserError {
  return new UserError({
    reason: "NotACheckpoint",
    message: say`the image ${names[0] ?? digest ?? ""} in ${label} is not that of a checkpoint: none of its layers holds one`,
  });
}

function isMarked(annotations: unknown): boolean {
  return Object.keys(object(annotations)).some((key) => MARK.test(key));
}

/** Undefined for a digest that no blob can have. */
function blobName(digest: string): string | undefined {
  const [, algorithm, hex] = /^(sha256|sha384|sha512):([0-9a-f]{64,128})$/.exec(digest) ?? [];
  return algorithm === undefined ? undefined : `blobs/${algorithm}/${hex}`;
}

async function digestProblem(archive: OpenArchive, member: string, digest: string): Promise<string[]> {
  const [algorithm = "sha256", hex] = digest.split(":");
  const hash = createHash(algorithm);
  for await (const piece of pieces(archive.open(member))) hash.update(piece);
  const actual = hash.digest("hex");
  return actual === hex ? [] : [`the image's blob ${digest} is ${algorithm}:${actual}`];
}
