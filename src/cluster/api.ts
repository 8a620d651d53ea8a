import { UserError } from "../model/error.ts";
import { apiFailure, excerpt, type ApiRequest } from "./answer.ts";
import type { Connection } from "./connection.ts";

/** The JSON of a successful answer. Throws an ApiFailure otherwise. */
export async function callJson(connection: Connection, request: ApiRequest): Promise<unknown> {
  const answer = await connection.call(request);
  if (answer.status >= 300) throw apiFailure(answer, request);
  try {
    return JSON.parse(answer.text);
  } catch (error) {
    throw new UserError({
      reason: "AnswerInvalid",
      message: `the answer to GET ${request.path} is not JSON`,
      why: excerpt(answer.text),
      cause: error,
    });
  }
}
