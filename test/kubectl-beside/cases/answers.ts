// What an API server answers, and what is asked again.
import { json, status, type Answer } from "../servers.ts";
import type { Case } from "../table.ts";
import { certificateOf, config } from "./kubeconfig.ts";

/** The first so many requests for the pod are answered otherwise. */
function first(count: number, answer: (...about: Parameters<Answer>) => boolean): Answer {
  return (request, response, seen) => {
    const asked = seen.filter(({ url }) => url.includes("/pods/nginx")).length;
    return request.url?.includes("/pods/nginx") === true && asked <= count && answer(request, response, seen);
  };
}

function answering(name: string, answer: Answer, more: Omit<Case, "name" | "given">, user: object = { token: "t" }): Case {
  return {
    name,
    given: async (site) => {
      await site.api("main", { answer });
      return { kubeconfig: await config(site, { user }) };
    },
    ...more,
  };
}

const RETRY = { "retry-after": "1" };

export const ANSWERS: readonly Case[] = [
  answering(
    "429 with Retry-After: asked again",
    first(1, (_, response) => status(response, 429, "TooManyRequests", "slow down", RETRY)),
    {
      arrives: "Bearer t",
    },
  ),
  answering(
    "503 with Retry-After: asked again",
    first(1, (_, response) => status(response, 503, "ServiceUnavailable", "soon", RETRY)),
    {
      arrives: "Bearer t",
    },
  ),
  answering(
    "a connection that is reset: asked again",
    first(1, (request) => {
      request.socket.destroy();
      return true;
    }),
    { arrives: "Bearer t" },
  ),
  answering(
    "503 without Retry-After",
    first(1, (_, response) => status(response, 503, "ServiceUnavailable", "soon")),
    {
      better: "kubectl gives up at the first one; a GET may be sent again",
      arrives: "Bearer t",
    },
  ),
  answering("401", (_, response) => status(response, 401, "Unauthorized", "Unauthorized"), {
    kubectlSays: /You must be logged in|Unauthorized/,
    fails: { reason: "Unauthorized", says: /log in/ },
  }),
  answering(
    "403 without credentials",
    first(1, (_, response) =>
      status(response, 403, "Forbidden", 'pods "nginx" is forbidden: User "system:anonymous" cannot get resource "pods"'),
    ),
    { better: "kubectl does not say that no credentials were sent", fails: { reason: "Forbidden", says: /no credentials were sent/ } },
    {},
  ),
  {
    name: "403 of anonymous with credentials of a kind that the server does not take",
    given: async (site) => {
      const answer: Answer = (_, response) =>
        status(response, 403, "Forbidden", 'pods "nginx" is forbidden: User "system:anonymous" cannot get resource "pods"');
      await site.api("main", { answer });
      return { kubeconfig: await config(site, { user: certificateOf(site, "alice") }) };
    },
    better: "kubectl does not say that the certificate was not looked at",
    fails: { reason: "Forbidden", says: /client certificate/ },
  },
  answering(
    "a login page",
    (_, response) => {
      response.writeHead(302, { location: "https://login.example/authorize?client=1", "content-type": "text/html" }).end("<html>");
      return true;
    },
    {
      better: "kubectl follows it, and shows what it finds there",
      fails: { reason: "LoginPage", says: /https:\/\/login\.example\/authorize/ },
    },
  ),
  answering(
    "404",
    (request, response) => request.url?.includes("/pods/nginx") === true && status(response, 404, "NotFound", 'pods "nginx" not found'),
    {
      kubectlSays: /pods "nginx" not found/,
      fails: { reason: "NotFound", says: /pods "nginx" not found/ },
    },
  ),
  answering(
    "an answer that is no pod",
    first(9, (_, response) => json(response, 200, {})),
    {
      better: "kubectl says that the object has no kind",
      fails: { reason: "AnswerInvalid", says: /not a pod/ },
    },
  ),
];
