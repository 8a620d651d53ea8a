import { list, object, string, type Json } from "../model/json.ts";
import { say, type Phrase } from "../model/phrase.ts";
import { TOKEN_PATH } from "./archived.ts";

export interface RestoredVolumes {
  readonly volumes: readonly Json[];
  /** A container's spec with what it mounts now. */
  readonly mounts: (container: Json) => Json;
  readonly notes: readonly Phrase[];
}

/** The volume that the API server adds by itself for the service account's token, with a name of its own in every pod. */
const TOKEN_VOLUME = /^kube-api-access-/;
const NO_TOKEN = "no-token";

/**
 * The volumes of a restored pod: the same, without the token's, which is added anew. Isolated, no token is in any of them, but
 * what was mounted for the restored container stays mounted: CRIU refuses where a mount is missing. `tokenMounted`: the archive
 * tells that a token was, whatever the manifest says.
 */
export function restoredVolumes(spec: Json, container: string, isolated: boolean, tokenMounted: boolean): RestoredVolumes {
  const all = list(spec["volumes"]).map(object);
  const tokens = new Set(all.map(({ name }) => string(name)).filter((name) => TOKEN_VOLUME.test(name)));
  const kept = all.filter(({ name }) => !tokens.has(string(name)));
  const restored = list(spec["containers"])
    .map(object)
    .find(({ name }) => string(name) === container);
  const mounted = list(restored?.["volumeMounts"]).map(object);
  const hadToken = mounted.some(({ name }) => tokens.has(string(name)));
  const hasOther = mounted.some(({ name, mountPath }) => !tokens.has(string(name)) && string(mountPath).replace(/\/+$/, "") === TOKEN_PATH);
  const needsStandIn = isolated && (hadToken || tokenMounted) && !hasOther;
  return {
    volumes: [
      ...kept.map((volume) => (isolated ? withoutToken(volume) : volume)),
      ...(needsStandIn ? [{ name: NO_TOKEN, emptyDir: {} }] : []),
    ],
    mounts: (one) => {
      const mounts = list(one["volumeMounts"])
        .map(object)
        .filter(({ name }) => !tokens.has(string(name)));
      const standIn = needsStandIn && string(one["name"]) === container ? [{ name: NO_TOKEN, mountPath: TOKEN_PATH, readOnly: true }] : [];
      return one["volumeMounts"] === undefined && standIn.length === 0 ? one : { ...one, volumeMounts: [...mounts, ...standIn] };
    },
    notes: kept.flatMap(noteOn),
  };
}

function withoutToken(volume: Json): Json {
  const projected = object(volume["projected"]);
  const sources = list(projected["sources"]).map(object);
  const others = sources.filter((source) => source["serviceAccountToken"] === undefined);
  if (others.length === sources.length) return volume;
  return others.length === 0 ? { name: volume["name"], emptyDir: {} } : { ...volume, projected: { ...projected, sources: others } };
}

function noteOn(volume: Json): Phrase[] {
  const name = string(volume["name"]);
  if (volume["emptyDir"] !== undefined) return [say`volume ${name} (emptyDir) is empty: a checkpoint does not contain its files`];
  if (volume["hostPath"] !== undefined)
    return [say`volume ${name} is ${string(object(volume["hostPath"])["path"])} of the node that the pod runs on`];
  const claim = string(object(volume["persistentVolumeClaim"])["claimName"]);
  if (claim !== "") return [say`volume ${name} is the claim ${claim} as it is now, not as it was at the checkpoint`];
  if (volume["ephemeral"] !== undefined) return [say`volume ${name} (ephemeral) is a new one`];
  return [];
}
