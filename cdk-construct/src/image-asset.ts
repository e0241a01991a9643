// Image assets of the app. In: an asset, or a repository that may be one's. Out: the repository and the tag that the asset is
// pushed to, and the stack that has to be deployed before.

import { Fn, Stack, Stage } from 'aws-cdk-lib';
import { IRepository, Repository } from 'aws-cdk-lib/aws-ecr';
import { DockerImageAsset, TarballImageAsset } from 'aws-cdk-lib/aws-ecr-assets';
import { Construct, IConstruct } from 'constructs';
import { textOf } from './references';
import { quoted } from './validate';

const ID = 'PushedTo';

/** An address in ECR, any part of which can have variables of `Fn::Sub`. */
const ADDRESS = /^([^./]+)\.dkr\.ecr\.([^./]+)\.[^/]+\/(.+):([^:/]+)$/;

export interface PushedImage {
  readonly repository: IRepository;
  readonly tag: string;
}

/** Where its `imageUri` says. A synthesizer can push to another account than `repository` says, and under another tag. */
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

/** An asset is pushed when its stack is deployed. Nothing in a template refers to that. */
export function waitForAsset(scope: Construct, repository: IRepository): void {
  const asset = repository.node.scope;
  const [own, other] = [deployedWith(scope), deployedWith(repository)];
  if (asset !== undefined && 'imageUri' in asset && own !== other && Stage.of(own) === Stage.of(other)) {
    own.addDependency(other, `${scope.node.path} indexes the image asset ${asset.node.path}`);
  }
}

/** Assets of a nested stack are pushed for the stack that it is in. */
function deployedWith(scope: IConstruct): Stack {
  const stack = Stack.of(scope);
  return stack.nestedStackParent === undefined ? stack : deployedWith(stack.nestedStackParent);
}
