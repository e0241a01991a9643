// Makes values of different stacks comparable. In: a value with tokens, and its construct. Out: the value with
// each reference as a string that identifies its target in the app, and the targets. What references become in a
// template depends on the stack, and references to resources without a physical name cannot be used in another environment.

import {
  DefaultTokenResolver,
  IPostProcessor,
  IResolvable,
  IResolveContext,
  Reference,
  StringConcat,
  Tokenization,
} from 'aws-cdk-lib';
import { IConstruct } from 'constructs';

export class References extends DefaultTokenResolver {
  /** The targets of the resolved values. */
  public readonly targets: IConstruct[] = [];

  constructor() {
    super(new TextConcat());
  }

  public resolve(scope: IConstruct, value: unknown): unknown {
    return Tokenization.resolve(value, { scope, resolver: this, preparing: false });
  }

  public override resolveToken(token: IResolvable, context: IResolveContext, postProcessor: IPostProcessor): unknown {
    if (!Reference.isReference(token)) {
      return super.resolveToken(token, context, postProcessor);
    }
    this.targets.push(token.target);
    return `\${${token.target.node.addr}.${token.displayName}}`;
  }
}

class TextConcat extends StringConcat {
  public override join(left: unknown, right: unknown): string {
    return textOf(left) + textOf(right);
  }
}

/** A resolved value in the notation of `Fn::Sub`, whichever intrinsic function it uses. */
export function textOf(value: unknown): string {
  if (typeof value === 'string') {
    return value;
  }
  if (typeof value !== 'object' || value === null) {
    return value === undefined ? '' : JSON.stringify(value);
  }
  const [name, argument] = (Object.entries(value)[0] ?? []) as [string?, unknown?];
  if (name === 'Ref') {
    return `\${${textOf(argument)}}`;
  }
  if (name === 'Fn::Join' && Array.isArray(argument) && argument[0] === '' && Array.isArray(argument[1])) {
    return argument[1].map(textOf).join('');
  }
  return name === 'Fn::Sub' && typeof argument === 'string' ? argument : JSON.stringify(value);
}
