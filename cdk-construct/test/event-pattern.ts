// Judges event patterns as EventBridge does, for the conditions that rules of the constructs have. In: a pattern as it stands in a
// template, and an event. Knows nothing of filters.

type Json = string | number | boolean | null | Json[] | { readonly [name: string]: Json };
export type JsonObject = Readonly<Record<string, Json>>;

/** Fields beside each other must all match; of the branches of `$or`, one. */
export function matches(pattern: JsonObject, event: JsonObject): boolean {
  return Object.entries(pattern).every(([name, inner]) => {
    if (name === '$or') {
      return branchesOf(pattern, inner).some((branch) => matches(branch, event));
    }
    if (Array.isArray(inner)) {
      return inner.some((condition) => fulfills(condition, event[name]));
    }
    return matches(inner as JsonObject, (event[name] ?? {}) as JsonObject);
  });
}

/** EventBridge lets a field of a branch replace the one beside `$or`, or the other way round: no rule may depend on that. */
function branchesOf(pattern: JsonObject, inner: Json): JsonObject[] {
  const branches = inner as JsonObject[];
  if (branches.length < 2 || branches.flatMap((branch) => Object.keys(branch)).some((field) => field in pattern)) {
    throw new Error(`EventBridge would not understand ${JSON.stringify(pattern)}`);
  }
  return branches;
}

function fulfills(condition: Json, value?: Json): boolean {
  if (typeof condition === 'string') {
    return value === condition;
  }
  const [[operator, operand]] = Object.entries(condition as JsonObject);
  if (operator === 'exists') {
    return (value !== undefined) === operand;
  }
  if (typeof value !== 'string') {
    return false;
  }
  switch (operator) {
    case 'prefix':
      return value.startsWith(operand as string);
    case 'suffix':
      return value.endsWith(operand as string);
    case 'wildcard':
      return wildcard(operand as string).test(value);
    case 'anything-but':
      return !fulfills(operand, value);
    default:
      throw new Error(`unknown operator ${operator}`);
  }
}

/** `*` stands for any number of any characters. */
export function wildcard(text: string): RegExp {
  const parts = text.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`, 's');
}
