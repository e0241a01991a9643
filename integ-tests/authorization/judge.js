// Holds calls and policies against AWS's service authorization reference.
// In, on stdin: {cases: [{name, roles: [{arn, policies, calls: [{action, resource, context}]}]}], open: [action]}; `open` are the
// actions that may be allowed on whatever resource. Out: a finding a line. Knows nothing of what the calls are for.
//
// The evaluator refuses what AWS's reference does not have: an action, a resource of another type; it ignores condition keys
// that the action does not have.

import { text } from 'node:stream/consumers';
import { runSimulation } from '@cloud-copilot/iam-simulate';

const { cases, open } = JSON.parse(await text(process.stdin));
let judged = 0;

/** Whether these statements allow the role the call; or what AWS does not know of it. */
async function judge(arn, statements, { action, resource, context }) {
  judged += 1;
  const accountId = arn.split(':')[4];
  const statement = (Statement) => ({ Version: '2012-10-17', Statement });
  // A key lets nobody in by their own policies unless its policy says so; this is the default.
  const account = { Effect: 'Allow', Principal: { AWS: arn.replace(/:role.*/, ':root') }, Action: 'kms:*', Resource: '*' };
  const result = await runSimulation(
    {
      request: { principal: arn, action, resource: { resource, accountId }, contextVariables: context },
      identityPolicies: [{ name: 'policy', policy: statement(statements) }],
      serviceControlPolicies: [],
      resourceControlPolicies: [],
      ...(action.startsWith('kms:') && { resourcePolicy: statement([account]) }),
    },
    {},
  );
  return result.resultType === 'error'
    ? { unknown: result.errors.message }
    : { allowed: result.overallResult === 'Allowed' };
}

/** Every right of a statement for itself: one action, one resource, one value of each condition. */
function rightsOf(statement) {
  const conditions = Object.entries(statement.Condition ?? {}).reduce(
    (all, [operator, keys]) =>
      Object.entries(keys).reduce(
        (some, [key, values]) =>
          some.flatMap((one) =>
            [values].flat().map((value) => ({ ...one, [operator]: { ...one[operator], [key]: value } })),
          ),
        all,
      ),
    [{}],
  );
  return [statement.Action].flat().flatMap((Action) =>
    [statement.Resource].flat().flatMap((Resource) =>
      conditions.map((Condition) => ({ Effect: statement.Effect, Action, Resource, Condition })),
    ),
  );
}

/** The same call on what is not ours: another name, another account, another value of each condition. */
function foreign({ action, resource, context }) {
  const calls = Object.keys(context).map((key) => ({
    action,
    resource,
    context: { ...context, [key]: context[key].replace(/[^:/]+$/, 'other') },
  }));
  if (resource !== '*' && !open.includes(action)) {
    const [arn, partition, service, region, account, ...rest] = resource.split(':');
    const name = rest.join(':');
    const other = service === 's3' ? `other-${name}` : name.replace(/^[a-z-]+[:/]/, '$&other-');
    calls.push({ action, resource: [arn, partition, service, region, account, other].join(':'), context });
    if (account) {
      calls.push({ action, resource: [arn, partition, service, region, '999999999999', name].join(':'), context });
    }
  }
  return calls;
}

const shown = ({ action, resource, context }) => `${action} on ${resource} ${JSON.stringify(context)}`;

for (const { name, roles } of cases) {
  for (const { arn, policies, calls } of roles) {
    const find = (what) => console.log(`${name}, ${arn.split('/').pop()}: ${what}`);
    const statements = policies.flatMap((policy) => policy.Statement);
    for (const call of calls) {
      const { unknown, allowed } = await judge(arn, statements, call);
      if (unknown) {
        find(`unknown to AWS (${unknown}): ${shown(call)}`);
      } else if (!allowed) {
        find(`call without a permission: ${shown(call)}`);
      }
      for (const other of foreign(call)) {
        if ((await judge(arn, statements, other)).allowed) {
          find(`permission too broad: ${shown(other)}`);
        }
      }
    }
    for (const right of statements.flatMap(rightsOf)) {
      let used = false;
      for (const call of calls.filter(({ action }) => action.toLowerCase() === right.Action.toLowerCase())) {
        used ||= (await judge(arn, [right], call)).allowed === true;
      }
      if (!used) {
        find(`permission without a call: ${JSON.stringify(right)}`);
      }
    }
  }
}
console.error(`${judged} calls evaluated`);
