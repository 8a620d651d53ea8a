import { list, object, string, type Json } from "../model/json.ts";

/** Whether a label selector of the API selects these labels. None selects nothing, an empty one all. */
export function selects(selector: unknown, labels: Json): boolean {
  if (selector === undefined || selector === null) return false;
  const { matchLabels, matchExpressions } = object(selector);
  const equal = Object.entries(object(matchLabels)).every(([key, value]) => labels[key] === value);
  return (
    equal &&
    list(matchExpressions)
      .map(object)
      .every((expression) => meets(expression, labels))
  );
}

function meets({ key, operator, values }: Json, labels: Json): boolean {
  const value = labels[string(key)];
  if (operator === "Exists") return value !== undefined;
  if (operator === "DoesNotExist") return value === undefined;
  const isListed = value !== undefined && list(values).includes(value);
  return operator === "In" ? isListed : operator === "NotIn" && !isListed;
}

/**
 * A pod affinity term, or a topology spread constraint, whose selector says itself what matchLabelKeys and mismatchLabelKeys say: the API
 * server looks those up in the labels of the new pod, which lacks them, and refuses keys that are in the selector already, as they
 * are in a manifest that it has taken once.
 */
export function withoutLabelKeys(term: Json, labels: Json): Json {
  const { matchLabelKeys, mismatchLabelKeys, labelSelector, ...rest } = term;
  const keys = [
    ...list(matchLabelKeys).map((key) => ({ key: string(key), operator: "In" })),
    ...list(mismatchLabelKeys).map((key) => ({ key: string(key), operator: "NotIn" })),
  ];
  if (keys.length === 0) return term;
  const expressions = list(object(labelSelector)["matchExpressions"]).map(object);
  const more = keys.flatMap(({ key, operator }) => {
    const value = labels[key];
    return value === undefined || expressions.some((one) => one["key"] === key) ? [] : [{ key, operator, values: [value] }];
  });
  return { ...rest, labelSelector: { ...object(labelSelector), matchExpressions: [...expressions, ...more] } };
}
