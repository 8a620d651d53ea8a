import { createPrompt, isDownKey, isEnterKey, isUpKey, useKeypress, useState } from "@inquirer/core";
import { styleText } from "node:util";

/** The answer where Esc was typed. */
export const BACK = Symbol("back");

const KEYS = "↑↓: move · Enter: select · Esc: back";

/** One of a few; answers with its place. */
export const choose = createPrompt<number | typeof BACK, { readonly question: () => string; readonly labels: readonly string[] }>(
  ({ question, labels }, done) => {
    const [active, setActive] = useState(0);
    useKeypress((key, readline) => {
      readline.clearLine(0);
      if (isEnterKey(key)) done(active);
      else if (key.name === "escape") done(BACK);
      else if (isUpKey(key)) setActive((active + labels.length - 1) % labels.length);
      else if (isDownKey(key)) setActive((active + 1) % labels.length);
      else if (key.name === "home") setActive(0);
      else if (key.name === "end") setActive(labels.length - 1);
    });
    const lines = labels.map((label, index) => (index === active ? styleText("cyan", `❯ ${label}`) : `  ${label}`));
    return [`${styleText("blue", "?")} ${styleText("bold", question())}`, [...lines, styleText("dim", KEYS)].join("\n")];
  },
);

/** Yes or no; Esc is no. */
export const confirm = createPrompt<boolean, { readonly question: () => string }>(({ question }, done) => {
  const [typed, setTyped] = useState("");
  useKeypress((key, readline) => {
    if (isEnterKey(key)) done(/^y(es)?$/i.test(typed.trim()));
    else if (key.name === "escape") done(false);
    else setTyped(readline.line);
  });
  return `${styleText("blue", "?")} ${styleText("bold", question())} ${styleText("dim", "(y/N)")} ${typed}`;
});
