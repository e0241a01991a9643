// The function and the logs: what they are on AWS, and that nothing of them is left behind.

import { SociIndexV2Build } from '../src';
import { onlyResource, repositoryIn, resourcesOf, templateOf } from './template';

const template = templateOf((stack) => {
  new SociIndexV2Build(stack, 'Index', { repository: repositoryIn(stack), inputImageTag: 'v1' });
});
const logGroups = resourcesOf(template, 'AWS::Logs::LogGroup');

test('the function is a small machine for our own program', () => {
  const { Properties } = onlyResource(template, 'AWS::Lambda::Function');

  expect(Properties).toMatchObject({
    Architectures: ['x86_64'],
    Handler: 'bootstrap',
    MemorySize: 128,
    Runtime: 'provided.al2023',
    Timeout: 900,
  });
  // Lambda's own two retries are wanted: they take over from an invocation that died.
  template.resourceCountIs('AWS::Lambda::EventInvokeConfig', 0);
});

test('it writes to a log group of the stack, not to one that Lambda makes and leaves', () => {
  const { Properties } = onlyResource(template, 'AWS::Lambda::Function');

  const { LogGroup } = Properties['LoggingConfig'] as { LogGroup: { Ref: string } };
  expect(Object.keys(logGroups)).toContain(LogGroup.Ref);
});

test('both log groups end with the stack, and keep a month until then', () => {
  expect(Object.values(logGroups)).toHaveLength(2);
  for (const logGroup of Object.values(logGroups)) {
    expect(logGroup).toMatchObject({ DeletionPolicy: 'Delete', Properties: { RetentionInDays: 30 } });
  }
});
