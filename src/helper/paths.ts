/** Where the pod has what it works with. Mounted there by manifest.ts. */
export const ARCHIVES = "/archives";
export const WORK = "/work";
/** The node's own root in a helper pod, for the access "host" only. */
export const HOST = "/host";
/** The volumes of a pod in a helper pod, by name, for the access "volumes" only. */
export const VOLUMES = "/volumes";
