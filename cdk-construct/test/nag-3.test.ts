// What cdk-nag 3 (AwsSolutions) says of everything that the constructs make: nothing. Runs beside its own aws-cdk-lib only
// (`npm run nag:check`); the compiler knows version 2.

import { StackProps } from 'aws-cdk-lib';
import { IConstruct } from 'constructs';
import { HERE } from './build';
import { everything } from './everything';

interface Pack {
  validateScope(scope: IConstruct): { violations: { ruleName: string; violatingResources: { constructPath: string }[] }[] };
}

const { AwsSolutionsChecks } = jest.requireActual<{ AwsSolutionsChecks: new () => Pack }>('cdk-nag');

const found = (stack: IConstruct): string[] =>
  new AwsSolutionsChecks()
    .validateScope(stack)
    .violations.flatMap(({ ruleName, violatingResources }) =>
      violatingResources.map(({ constructPath }) => `${ruleName} ${constructPath}`),
    );

test.each<[string, StackProps]>([
  ['an environment that is not known', {}],
  ['one that is', { env: HERE }],
  ['one of China', { env: { ...HERE, region: 'cn-north-1' } }],
])('finds nothing but what is not of the constructs, in %s', (_, props) => {
  expect(found(everything(props))).toEqual(['AwsSolutions-VPC7 Stack/Vpc/Resource']);
});

test('finds what has no reason', () => {
  const stack = everything();
  const role = stack.node.findChild('SociIndexBuildProject').node.findChild('Role').node.findChild('DefaultPolicy').node.findChild('Resource');
  // The metadata is a copy each time; the construct keeps it here.
  (role.node as unknown as { _metadata: unknown[] })._metadata.length = 0;
  expect(found(stack)).toContain('AwsSolutions-IAM5[Resource::*] Stack/SociIndexBuildProject/Role/DefaultPolicy/Resource');
});
