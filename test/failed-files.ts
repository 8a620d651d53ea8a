// A reporter of node:test that prints the files in which something failed, a line each.
export default async function* failedFiles(events: AsyncIterable<Summary>): AsyncGenerator<string> {
  for await (const { type, data } of events)
    if (type === "test:summary" && data.file !== undefined && data.success === false) yield `${data.file}\n`;
}

interface Summary {
  readonly type: string;
  readonly data: { readonly file?: string; readonly success?: boolean };
}
