import { help, options } from "../commands/about.ts";
import { verb as checkpoint } from "../commands/checkpoint.ts";
import { verb as completion } from "../commands/completion.ts";
import { verb as cp } from "../commands/cp.ts";
import { verb as diff } from "../commands/diff.ts";
import { verb as doctor } from "../commands/doctor.ts";
import { verb as extract } from "../commands/extract.ts";
import { verb as image } from "../commands/image.ts";
import { verb as inspect } from "../commands/inspect.ts";
import { verb as ls } from "../commands/ls.ts";
import { verb as move } from "../commands/move.ts";
import { verb as prune } from "../commands/prune.ts";
import { verb as report } from "../commands/report.ts";
import { verb as restore } from "../commands/restore.ts";
import { verb as rm } from "../commands/rm.ts";
import { verb as seal } from "../commands/seal.ts";
import { verb as search } from "../commands/search.ts";
import type { Verb, VerbText } from "../commands/shared/verb.ts";
import { verb as show } from "../commands/show.ts";
import { verb as verify } from "../commands/verify.ts";
import { verb as version } from "../commands/version.ts";

/** Every verb that runs, in the order of help: NAME is in commands/NAME.ts. The first one needs no word. */
export const RUNNABLE: readonly [Verb, ...Verb[]] = [
  checkpoint,
  cp,
  ls,
  rm,
  prune,
  doctor,
  show,
  report,
  inspect,
  search,
  diff,
  extract,
  verify,
  seal,
  image,
  restore,
  move,
  completion,
  version,
];

/** And those that are answered at once. */
export const VERB_TEXTS: readonly [VerbText, ...VerbText[]] = [...RUNNABLE, options, help];
