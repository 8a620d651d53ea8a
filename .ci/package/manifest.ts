import { readFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { load } from "js-yaml";
import { list, object, string } from "../../src/model/json.ts";
import { archiveName, executableName, PLATFORMS, type Platform } from "./platforms.ts";

const SOURCE = join(import.meta.dirname, "../../plugin.yaml");

/** plugin.yaml for a version, with the SHA-256 of every archive (by its name) that has been built; 64 zeros for the others. */
export async function manifest(version: string, sums: ReadonlyMap<string, string>): Promise<string> {
  const source = await readFile(SOURCE, "utf8");
  const filled = source.replace(/^#.*\n/, "").replaceAll("VERSION", `v${version}`);
  // A platform's uri stands before its sum.
  return filled.replaceAll(/(uri: (\S+)\n\s+sha256: )SHA256/g, (_, before: string, uri: string) => {
    return before + JSON.stringify(sums.get(basename(uri)) ?? "0".repeat(64));
  });
}

/**
 * What krew would refuse of a manifest (internal/index/validation of krew, and the rules of krew-index), and what does not
 * fit what is built here. Empty where all is well.
 */
export function problems(text: string, version: string): string[] {
  const found: string[] = [];
  const expect = (holds: boolean, problem: string): void => {
    if (!holds) found.push(problem);
  };
  const plugin = object(load(text));
  const name = string(object(plugin["metadata"])["name"]);
  const spec = object(plugin["spec"]);
  expect(plugin["apiVersion"] === "krew.googlecontainertools.github.com/v1alpha2", "apiVersion is not krew's");
  expect(plugin["kind"] === "Plugin", "kind is not Plugin");
  expect(/^[a-z0-9]+(-[a-z0-9]+)*$/.test(name), `metadata.name "${name}" is not lowercase words with dashes`);
  expect(!name.startsWith("kube"), "metadata.name repeats kubectl");
  expect(spec["version"] === `v${version}` && /^v\d+\.\d+\.\d+(-[\w.-]+)?$/.test(`v${version}`), `version is not v${version}`);
  expect(/^https:\/\/\S+$/.test(string(spec["homepage"])), "homepage is not an address");
  const short = string(spec["shortDescription"]);
  expect(short !== "" && short.length <= 50 && !/[\r\n]/.test(short), "shortDescription is not one line of at most 50 characters");
  expect(!short.endsWith("."), "shortDescription ends with a full stop");
  for (const field of ["description", "caveats"]) {
    const lines = string(spec[field]).trimEnd().split("\n");
    expect(lines[0] !== "" && lines.every((line) => line.length <= 80), `${field} is not lines of at most 80 characters`);
  }
  const platforms = list(spec["platforms"]).map(object);
  for (const platform of PLATFORMS) {
    const label = `${platform.os}/${platform.arch}`;
    const selected = platforms.filter(({ selector }) => matches(selector, platform));
    expect(selected.length === 1, `${label} is selected by ${selected.length} platforms`);
    for (const { uri, bin } of selected) {
      expect(bin === executableName(platform), `${label}: bin is not the executable`);
      expect(string(uri).endsWith(`/v${version}/${archiveName(platform, version)}`), `${label}: uri is not of the archive`);
    }
  }
  expect(platforms.length === PLATFORMS.length, "there are platforms that nothing is built for");
  for (const { uri, sha256, files } of platforms) {
    expect(/^https:\/\/\S+\.(tar\.gz|zip)$/.test(string(uri)), `${string(uri)} is not the address of a tar.gz or zip`);
    expect(/^[0-9a-f]{64}$/.test(string(sha256)), `${string(uri)}: sha256 is not 64 lowercase hexadecimal digits`);
    expect(files === undefined || list(files).length > 0, `${string(uri)}: files is empty`);
  }
  return found;
}

/** Only labels are used here: a selector with anything else matches nothing, and so is found. */
function matches(selector: unknown, { os, arch }: Platform): boolean {
  const { matchLabels, ...rest } = object(selector);
  const { os: wantedOs = os, arch: wantedArch = arch, ...others } = object(matchLabels);
  return Object.keys(rest).length + Object.keys(others).length === 0 && wantedOs === os && wantedArch === arch;
}
