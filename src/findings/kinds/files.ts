import type { ChangeItem } from "../../model/inspection.ts";
import type { Severity } from "../../model/findings.ts";
import { command, say } from "../../model/phrase.ts";
import type { FindingKind } from "../facts.ts";

/** What somebody changes to stay, to come back or to become another user. */
export const FILES: readonly FindingKind[] = [
  ofFiles(
    "SetuidFile",
    "A file with the setuid or setgid bit was added or changed",
    "high",
    ({ setuid, setgid, executable }) => (setuid ?? setgid ?? false) && executable === true,
    "whoever runs it becomes its owner: a way to keep root",
  ),
  ofFiles(
    "AuthorizedKeys",
    "Keys were given a login by SSH",
    "high",
    named(/\/\.ssh\/authorized_keys2?$|^\/etc\/ssh\/authorized_keys/),
    "whoever has the other half of a key in it may log in",
  ),
  ofFiles(
    "ScheduledJob",
    "A job of cron, at or systemd was added or changed",
    "high",
    named(
      /^\/etc\/(crontab|anacrontab|cron\.(d|hourly|daily|weekly|monthly)\/.+)$|^\/var\/spool\/(cron|at)\/.+|^\/(etc|usr\/lib|lib)\/systemd\/.+\.(service|timer)$/,
    ),
    "it is run again and again, by another program",
  ),
  ofFiles(
    "LoaderPreload",
    "Libraries are loaded into every program",
    "high",
    named(/^\/etc\/ld\.so\.preload$/),
    "the library in it is loaded into every program that starts",
  ),
  ofFiles(
    "CredentialsChanged",
    "Users, groups, passwords or what may become root were changed",
    "medium",
    named(
      /^\/etc\/(passwd|shadow|group|gshadow|sudoers|sudoers\.d\/.+|doas\.conf|pam\.d\/.+|security\/.+\.conf|ssh\/sshd_config(\.d\/.+)?|krb5\.keytab)$/,
    ),
    "it says who may log in, and as whom",
  ),
  ofFiles(
    "StartupFile",
    "What shells and programs read when they start was changed",
    "medium",
    named(
      /^\/etc\/(profile|bash\.bashrc|bashrc|zsh\/.+|profile\.d\/.+|environment|rc\.local|inittab|init\.d\/.+|ld\.so\.conf(\.d\/.+)?)$|\/\.(bashrc|bash_profile|bash_login|bash_logout|profile|zshrc|zshenv|zprofile|config\/fish\/config\.fish)$|\/(sitecustomize|usercustomize)\.py$|\/(site|dist)-packages\/[^/]+\.pth$/,
    ),
    "a shell or program runs it when it starts",
  ),
  ofFiles(
    "DeviceFile",
    "A device was made",
    "medium",
    ({ special = "" }) => special.endsWith("device"),
    "a device leads to what is outside of the container",
  ),
  ofFiles(
    "PrivateKeyFile",
    "A private key was written",
    "note",
    ({ content }) => content === "private key",
    "whoever has the archive has the key",
  ),
  {
    id: "DeletedSystemFile",
    about: "Users, logs or histories that the image had were deleted",
    *find({ file, changes }) {
      for (const { path, change } of changes) {
        if (change !== "deleted" || !/^\/(var\/log\/|etc\/(passwd|shadow|group)$)|\/\.(bash|ash|zsh)_history$/.test(path)) continue;
        yield {
          severity: "note",
          title: say`${path} was deleted`,
          detail: say`the image has it, and the container has it no more`,
          command: command`kubectl checkpoint inspect ${file} --changes`,
          path,
        };
      }
    },
  },
];

function named(pattern: RegExp): (item: ChangeItem) => boolean {
  return ({ path, type }) => (type === "file" || type === "symlink" || type === "link") && pattern.test(path);
}

function ofFiles(id: string, about: string, severity: Severity, wanted: (item: ChangeItem) => boolean, why: string): FindingKind {
  return {
    id,
    about,
    *find({ file, changes }) {
      for (const item of changes) {
        const { path, change, mode = "", uid, gid, target, bytes } = item;
        // An empty one is no more than a place.
        if (change === "deleted" || !wanted(item) || (item.type === "file" && bytes === 0)) continue;
        yield {
          severity,
          title: say`${path} was ${change}: mode ${mode}, owner ${uid ?? 0}:${gid ?? 0}${target === undefined ? "" : `, points to ${target}`}`,
          detail: say`${why}`,
          command:
            item.type === "file"
              ? command`kubectl checkpoint extract ${file} ${path} --to -`
              : command`kubectl checkpoint inspect ${file} --changes`,
          path,
        };
      }
    },
  };
}
