// The Lambda functions that would run an indexed image, which Lambda does not take. In: the index and the address of its
// image. Out: the paths of such functions, wherever they are in the stage. To be asked when everything is defined.

import {
  CfnResource,
  DefaultTokenResolver,
  IPostProcessor,
  IResolvable,
  IResolveContext,
  Reference,
  Stack,
  Stage,
  StringConcat,
  Tokenization,
} from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct, IConstruct } from 'constructs';

export function functionsThatRun(index: Construct, imageUri: string): string[] {
  const inStage = Stage.of(index)?.node.findAll() ?? [];
  return inStage
    .filter(isFunction)
    .filter((candidate) => refersTo(index, candidate) || isImageOf(candidate, imageUri))
    .map(({ node }) => node.path);
}

function isFunction(construct: IConstruct): construct is CfnFunction {
  return CfnResource.isCfnResource(construct) && construct.cfnResourceType === CfnFunction.CFN_RESOURCE_TYPE_NAME;
}

/** By one of the outputs, which may have become an export or a parameter on the way to another stack. */
function refersTo(index: Construct, candidate: CfnFunction): boolean {
  return targetsOf(candidate, candidate.code).some((target) => target.node.scopes.includes(index));
}

/** By an output tag that is written out. */
function isImageOf(candidate: CfnFunction, imageUri: string): boolean {
  const stack = Stack.of(candidate);
  const code = stack.resolve(candidate.code) as CfnFunction.CodeProperty | undefined;
  return (
    JSON.stringify(code?.imageUri) === JSON.stringify(stack.resolve(imageUri)) &&
    // Two repositories of two stacks can have one logical id.
    isSame(targetsOf(candidate, candidate.code), targetsOf(candidate, imageUri))
  );
}

function isSame(some: IConstruct[], others: IConstruct[]): boolean {
  return some.length === others.length && some.every((target, at) => target === others[at]);
}

/** What a value refers to, in order. */
function targetsOf(scope: IConstruct, value: unknown): IConstruct[] {
  const resolver = new TargetCollector();
  Tokenization.resolve(value, { scope, resolver, preparing: false });
  return resolver.targets;
}

class TargetCollector extends DefaultTokenResolver {
  public readonly targets: IConstruct[] = [];

  constructor() {
    super(new StringConcat());
  }

  public override resolveToken(token: IResolvable, context: IResolveContext, postProcessor: IPostProcessor): unknown {
    if (Reference.isReference(token)) {
      this.targets.push(token.target);
    }
    return super.resolveToken(token, context, postProcessor);
  }
}
