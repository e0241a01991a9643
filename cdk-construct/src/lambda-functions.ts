// Finds Lambda functions that use an indexed image, which Lambda does not support. In: the index and the URI of its
// image. Out: the paths of such functions anywhere in the stage. Must be called when everything is defined.

import { CfnResource, Stage } from 'aws-cdk-lib';
import { CfnFunction } from 'aws-cdk-lib/aws-lambda';
import { Construct, IConstruct } from 'constructs';
import { References, textOf } from './references';

/** The functions of a stage, shared by all of its indexes. */
export class LambdaFunctions {
  /** Those of the scope's stage. */
  public static around(scope: Construct): LambdaFunctions {
    const stage = Stage.of(scope) ?? scope.node.root;
    const functions = LambdaFunctions.inStages.get(stage) ?? new LambdaFunctions(stage);
    LambdaFunctions.inStages.set(stage, functions);
    return functions;
  }

  private static readonly inStages = new WeakMap<IConstruct, LambdaFunctions>();

  private found: LambdaFunction[] = [];

  private constructor(stage: IConstruct) {
    // A stage is validated before its children, so the tree is searched only once per synth.
    stage.node.addValidation({
      validate: () => {
        this.found = stage.node.findAll().filter(isFunction).map(whatItRuns);
        return [];
      },
    });
  }

  /** Those that use an output of the index, or the URI of its image as a string. */
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
