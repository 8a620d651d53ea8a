// Acts as other users of this machine: needs root.
export const ALICE = 1001;
export const MALLORY = 1002;

/** Why tests of several users are skipped. */
export const ONE_USER = process.geteuid?.() === 0 ? false : "only root can act as two users";

/** Whatever this process does until it has ended, it does as that user. */
export async function as<T>(uid: number, work: () => Promise<T>): Promise<T> {
  process.seteuid?.(uid);
  try {
    return await work();
  } finally {
    process.seteuid?.(0);
  }
}
