// The Lambda functions that would run an indexed image, which Lambda does not take. In: the index and the address of its
// image. Out: the paths of such functions, wherever they are in the stage. To be asked when everything is defined.

import { CfnResource, Stage } from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct, IConstruct } from 'constructs';
import { References, textOf } from './references';

/** The functions of a stage, for all indexes that are in it. */
export class LambdaFunctions {
  /** Those of the stage that the scope is in. */
  public static around(scope: Construct): LambdaFunctions {
    const stage = Stage.of(scope) ?? scope.node.root;
    const functions = LambdaFunctions.inStages.get(stage) ?? new LambdaFunctions(stage);
    LambdaFunctions.inStages.set(stage, functions);
    return functions;
  }

  private static readonly inStages = new WeakMap<IConstruct, LambdaFunctions>();

  private found: LambdaFunction[] = [];

  private constructor(stage: IConstruct) {
    // A stage is validated before what is in it: so this looks once in each synth, however many indexes ask.
    stage.node.addValidation({
      validate: () => {
        this.found = stage.node.findAll().filter(isFunction).map(whatItRuns);
        return [];
      },
    });
  }

  /** Those that use an output of the index, or the address of its image as a text. */
  public thatRun(index: Construct, imageUri: string): string[] {
    const address = textOf(new References().resolve(index, imageUri));
    return this.found
      .filter(({ imageAddress, targets }) => imageAddress === address || targets.some(isIn(index)))
      .map(({ path }) => path);
  }
}

interface LambdaFunction {
  readonly path: string;
  readonly imageAddress: string;
  readonly targets: IConstruct[];
}

function isFunction(construct: IConstruct): construct is CfnFunction {
  return CfnResource.isCfnResource(construct) && construct.cfnResourceType === CfnFunction.CFN_RESOURCE_TYPE_NAME;
}

function whatItRuns(construct: CfnFunction): LambdaFunction {
  const references = new References();
  const code = references.resolve(construct, construct.code) as CfnFunction.CodeProperty | undefined;
  return { path: construct.node.path, imageAddress: textOf(code?.imageUri), targets: references.targets };
}

function isIn(index: Construct): (target: IConstruct) => boolean {
  return ({ node }) => node.scopes.includes(index);
}
