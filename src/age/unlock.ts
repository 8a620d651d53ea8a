import type { Asking } from "../model/context.ts";
import { UserError } from "../model/error.ts";
import { command, say } from "../model/phrase.ts";
import { openHeader, takesPassphrase, type Unlocking } from "./header.ts";
import { damagedHeader, type Unlock } from "./open.ts";
import { readIdentities } from "./recipients.ts";

const ATTEMPTS = 3;

/** Opens age files with the identities of a file, or with a passphrase that is asked for once for all of them. Throws a UserError. */
export function unlocking(identity: string | undefined, ask: Asking): Unlock {
  let passphrase: string | undefined;
  return async (header, label) => {
    if (!takesPassphrase(header)) {
      if (identity === undefined)
        throw new UserError({
          reason: "IdentityNeeded",
          message: say`${label} is encrypted`,
          fix: "give the identity of one of its recipients: --identity FILE",
          exitCode: 2,
        });
      const key = await opened(header, label, { identities: await readIdentities(identity) });
      if (key !== undefined) return key;
      throw new UserError({ reason: "NotARecipient", message: say`${label} is not encrypted to an identity of ${identity}` });
    }
    for (let attempt = 1; ; attempt += 1) {
      if (passphrase === undefined && !ask.possible)
        throw new UserError({
          reason: "PassphraseNeeded",
          message: say`${label} is encrypted with a passphrase, which can only be entered on a terminal`,
          exitCode: 2,
        });
      const given = passphrase ?? (await ask.secret(say`Passphrase of ${label}:`));
      const key = await opened(header, label, { passphrase: given });
      if (key !== undefined) {
        passphrase = given;
        return key;
      }
      passphrase = undefined;
      if (attempt === ATTEMPTS) throw new UserError({ reason: "WrongPassphrase", message: say`the passphrase of ${label} is wrong` });
    }
  };
}

async function opened(header: Buffer, label: string, how: Unlocking): Promise<Buffer | undefined> {
  try {
    return await openHeader(header, how);
  } catch (error) {
    if (!/work factor is too high/.test((error as Error).message)) throw damagedHeader(label);
    throw new UserError({
      reason: "WorkFactorTooHigh",
      message: say`${label} has a passphrase whose work factor is above 20, which takes more than 1 GiB of memory`,
      fix: say`decrypt it with: ${command`age -d ${label}`}`,
    });
  }
}
