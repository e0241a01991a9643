// What builds the indexes of an environment, as an index sees it: a project of CodeBuild, or a function.

import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { IDependable } from 'constructs';
import { Right } from './rights-policy';

export interface Builder {
  /** The property of the custom resource that names it. */
  readonly property: { readonly ProjectName: string } | { readonly BuilderFunction: string };
  readonly arn: string;
  /** What the provider must be allowed to do with it. */
  readonly right: Right;
  /**
   * What every index has to depend on, beside itself: the rights and the network of a build must be there before it
   * and until after.
   */
  readonly essentials: IDependable[];
  /** Grants builds permission to read images in the repository and push indexes to it. */
  useRepository(repository: IRepository): void;
}
