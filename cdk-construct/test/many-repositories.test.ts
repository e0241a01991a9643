// Many repositories in one stack: their rights in as few policies as IAM allows, and the number where it does not.

import { App, RemovalPolicy, Stack } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { Repository } from 'aws-cdk-lib/aws-ecr';
import { Policy, PolicyStatement, Role, ServicePrincipal } from 'aws-cdk-lib/aws-iam';
import { Key } from 'aws-cdk-lib/aws-kms';
import { SociBuilder, SociIndexOptions, SociIndexV2Build } from '../src';
import { BUILDER, HERE, PROJECT, vpcIn } from './build';
import { INDEX, repositoryIn, resourcesOf, Resource } from './template';

const POLICIES = ['AWS::IAM::Policy', 'AWS::IAM::ManagedPolicy'];
/** IAM counts no spaces ("IAM and AWS STS quotas"). */
const LIMITS = { inline: 10_240, managed: 6_144, managedOfRole: 10 };

const kept = (): SociIndexOptions => ({});
const destroyed = (): SociIndexOptions => ({ removalPolicy: RemovalPolicy.DESTROY });

function stackWith(count: number, nameOf: (at: number) => string, optionsIn: (stack: Stack) => SociIndexOptions): Stack {
  const stack = new Stack(new App(), 'Stack', { env: HERE });
  const options = optionsIn(stack);
  for (let at = 0; at < count; at++) {
    const repository = repositoryIn(stack, nameOf(at));
    new SociIndexV2Build(stack, `Index${at}`, { repository, inputImageTag: 'v1', ...options });
  }
  return stack;
}

const short = (at: number): string => `team/service-${at}`;
const long = (at: number): string => `team/${at}/`.padEnd(256, 'n');

/** Every policy with what IAM counts of it, where CloudFormation fills in the longest names. */
function lengthsOf(template: Template, role: string): { inline: number[]; managed: number[] } {
  const policies = POLICIES.flatMap((type) => Object.values(resourcesOf(template, type))).filter(({ Properties }) =>
    JSON.stringify(Properties['Roles']).includes(role),
  );
  const lengths = (type: string): number[] =>
    policies.filter(({ Type }) => Type === type).map(({ Properties }) => filled(Properties['PolicyDocument']).length);
  return { inline: lengths(POLICIES[0]), managed: lengths(POLICIES[1]) };
}

function filled(document: unknown): string {
  return JSON.stringify(document, (_, value: unknown) => {
    const entries = Object.entries((value ?? {}) as Record<string, unknown>);
    const [name, argument] = entries.length === 1 ? entries[0] : ['', undefined];
    if (name === 'Fn::Join') {
      return (argument as [string, string[]])[1].map((part) => JSON.parse(filled(part)) as string).join('');
    }
    if (name === 'Ref') {
      return argument === 'AWS::Partition' ? 'aws-us-gov' : 'ap-southeast-1';
    }
    return name.startsWith('Fn::') ? 'arn:aws-us-gov:service:'.padEnd(128, 'x') : value;
  });
}

const sum = (lengths: number[]): number => lengths.reduce((one, other) => one + other, 0);

/** The same limits, but as much below as an update needs, which attaches policies beside those in whose place they come. */
function expectRoom({ inline, managed }: { inline: number[]; managed: number[] }): void {
  expect(sum(inline) + Math.max(...inline)).toBeLessThan(LIMITS.inline);
  expect(2 * managed.length).toBeLessThan(LIMITS.managedOfRole);
  managed.forEach((length) => {
    expect(length).toBeLessThanOrEqual(LIMITS.managed);
  });
}

describe.each<[string, number, (at: number) => string, (stack: Stack) => SociIndexOptions, number]>([
  ['one', 1, short, kept, 0],
  ['43, kept', 43, short, kept, 0],
  ['43, destroyed', 43, short, destroyed, 0],
  ['200 with short names', 200, short, destroyed, 2],
  ['43 with the longest names', 43, long, destroyed, 2],
  ['43 in a function', 43, long, () => ({ builder: SociBuilder.FUNCTION }), 2],
  ['43 in a VPC with a key', 43, long, (stack) => ({ vpc: vpcIn(stack), encryptionKey: new Key(stack, 'Key') }), 2],
])('repositories: %s', (_, count, nameOf, options, managedAtLeast) => {
  const template = Template.fromStack(stackWith(count, nameOf, options));

  const builder = Object.keys(resourcesOf(template, PROJECT)).length === 0 ? 'Function' : 'Project';
  test.each(['Provider', builder])('the policies of the %s’s role are within IAM’s limits, in an update, too', (role) => {
    const lengths = lengthsOf(template, `SociIndexBuild${role}`);
    expectRoom(lengths);
    expect(lengths.managed.length).toBeGreaterThanOrEqual(managedAtLeast);
  });

  test('each index waits for all of them', () => {
    const policies = POLICIES.flatMap((type) => Object.keys(resourcesOf(template, type)));
    const indexes = Object.values(resourcesOf(template, INDEX));
    expect(indexes).toHaveLength(count);
    indexes.forEach(({ DependsOn }) => {
      expect(DependsOn).toEqual(expect.arrayContaining(policies));
    });
  });

  test('each repository is named, and no other', () => {
    const text = POLICIES.flatMap((type) => Object.values(resourcesOf(template, type))).map((each) => JSON.stringify(each)).join('');
    const named = new Set([...text.matchAll(/:repository\/([^"]+)"/g)].map(([, name]) => name));
    expect(named).toEqual(new Set(Array.from({ length: count }, (__, at) => nameOf(at))));
  });
});

test('repositories without names count with the longest that CloudFormation can give', () => {
  const stack = new Stack(new App(), 'Stack'.padEnd(128, 'k'));
  for (let at = 0; at < 60; at++) {
    new SociIndexV2Build(stack, `Index${at}`, { repository: new Repository(stack, `R${at}`.padEnd(128, 'r')), inputImageTag: 'v1' });
  }
  const managed = resourcesOf(Template.fromStack(stack), 'AWS::IAM::ManagedPolicy');
  // 316 characters each: 19 in a policy, 11 in the first.
  expect(Object.keys(managed).filter((id) => id.startsWith('SociIndexBuildProvider'))).toHaveLength(3);
});

test('more than policies can hold is refused with the number', () => {
  const stack = stackWith(100, long, destroyed);
  expect(() => Template.fromStack(stack)).toThrow(
    /The 101 repositories and projects of the role Stack\/SociIndexBuildProvider\/Role need 5 managed policies; the limit is 4/,
  );
});

describe('a role that is given', () => {
  const roleIn = (stack: Stack): Role => new Role(stack, 'Given', { assumedBy: new ServicePrincipal(BUILDER) });

  test('gets managed policies where it takes policies', () => {
    const template = Template.fromStack(stackWith(43, long, (stack) => ({ role: roleIn(stack) })));
    expectRoom(lengthsOf(template, 'Given'));
  });

  test('gets them where it was imported', () => {
    const template = Template.fromStack(stackWith(43, long, (stack) => ({ role: Role.fromRoleName(stack, 'Given', 'builds') })));
    const lengths = lengthsOf(template, '"builds"');
    expectRoom(lengths);
    expect(lengths.managed).toHaveLength(2);
  });

  test('gets none where it takes none', () => {
    const role = (stack: Stack): SociIndexOptions => ({ role: Role.fromRoleName(stack, 'Given', 'builds', { mutable: false }) });
    const template = Template.fromStack(stackWith(43, long, role));
    const roles = (each: Resource): string => JSON.stringify(each.Properties['Roles']);
    expect(POLICIES.flatMap((type) => Object.values(resourcesOf(template, type))).map(roles)).not.toContain('["builds"]');
  });

  test('is refused where its own policies leave no room', () => {
    const stack = stackWith(20, short, (owner) => {
      const role = roleIn(owner);
      const own = Array.from({ length: 100 }, (_, at) => `arn:aws:s3:::bucket-of-something/and-a-folder-in-it-${at}/*`);
      for (let at = 0; at < 2; at++) {
        role.attachInlinePolicy(
          new Policy(owner, `Own${at}`, { statements: [new PolicyStatement({ actions: ['s3:GetObject'], resources: own })] }),
        );
      }
      return { role };
    });
    expect(() => Template.fromStack(stack)).toThrow(
      /The inline policies of the role Stack\/Given have up to \d{5} characters, but IAM allows at most 10240: remove statements from the role/,
    );
  });
});
