// Image assets of the app. In: an asset, or a repository that may belong to one. Out: the repository and tag to which the asset is
// pushed, and the stack that must be deployed first.

import { Fn, Stack, Stage } from 'aws-cdk-lib';
import { IRepository, Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, TarballImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { Construct, IConstruct } from 'constructs';
import { textOf } from './references';
import { quoted } from './validate';

const ID = 'PushedTo';

/** An ECR image URI; any part may contain variables of `Fn::Sub`. */
const ADDRESS = /^([^./]+)\.dkr\.ecr\.([^./]+)\.[^/]+\/(.+):([^:/]+)$/;

export interface PushedImage {
  readonly repository: IRepository;
  readonly tag: string;
}

/** From its `imageUri`. A synthesizer may push to another account or tag than `repository` says. */
export function pushedImage(asset: DockerImageAsset | TarballImageAsset): PushedImage {
  const stack = Stack.of(asset);
  const textIn = (value: string): string => textOf(stack.resolve(value));
  const address = textIn(asset.imageUri);
  if (address === textIn(asset.repository.repositoryUriForTag(asset.imageTag))) {
    return { repository: asset.repository, tag: asset.imageTag };
  }
  const parts = ADDRESS.exec(address);
  if (parts === null) {
    throw new Error(
      `the image asset ${asset.node.path} is pushed to ${quoted(address)}, which is not an ECR image: ` +
        `indexes can be built only in ECR repositories`,
    );
  }
  const [account, region, repositoryName, tag] = parts.slice(1).map(valueOf);
  return { repository: repositoryOf(asset, account, region, repositoryName), tag };
}

function repositoryOf(asset: Construct, account: string, region: string, repositoryName: string): IRepository {
  const repositoryArn = Stack.of(asset).formatArn({
    service: 'ecr',
    account,
    region,
    resource: 'repository',
    resourceName: repositoryName,
  });
  return (
    (asset.node.tryFindChild(ID) as IRepository | undefined) ??
    Repository.fromRepositoryAttributes(asset, ID, { repositoryArn, repositoryName })
  );
}

function valueOf(text: string): string {
  return text.includes('${') ? Fn.sub(text) : text;
}

/** An asset is pushed when its stack is deployed, which no reference in a template expresses. */
export function waitForAsset(scope: Construct, repository: IRepository): void {
  const asset = repository.node.scope;
  const [own, other] = [deployedWith(scope), deployedWith(repository)];
  if (asset !== undefined && 'imageUri' in asset && own !== other && Stage.of(own) === Stage.of(other)) {
    own.addDependency(other, `${scope.node.path} indexes the image asset ${asset.node.path}`);
  }
}

/** Assets of a nested stack are pushed with its parent stack. */
function deployedWith(scope: IConstruct): Stack {
  const stack = Stack.of(scope);
  return stack.nestedStackParent === undefined ? stack : deployedWith(stack.nestedStackParent);
}
