// What may be done with images in repositories. Their names are parts of the logical ids of deployed stacks and must not change.

import { Right } from './rights-policy';

/** Reads manifests. Also allows ListImageReferrers (ECR's API reference). */
export const LOOK: Right = { name: 'look', actions: ['ecr:BatchGetImage'] };

export const READ: Right = {
  name: 'read',
  actions: ['ecr:BatchCheckLayerAvailability', ...LOOK.actions, 'ecr:GetDownloadUrlForLayer'],
};

export const READ_AND_DELETE: Right = {
  name: 'delete',
  actions: [...READ.actions, 'ecr:BatchDeleteImage', 'ecr:DescribeImages'],
};

/** Reads images and pushes indexes. */
export const PUSH: Right = {
  name: 'push',
  actions: [
    'ecr:BatchCheckLayerAvailability',
    'ecr:BatchGetImage',
    'ecr:CompleteLayerUpload',
    'ecr:GetDownloadUrlForLayer',
    'ecr:InitiateLayerUpload',
    'ecr:PutImage',
    'ecr:UploadLayerPart',
  ],
};

/** Also lists the tags of a repository's images. */
export const LIST_AND_PUSH: Right = { name: 'list-and-push', actions: [...PUSH.actions, 'ecr:DescribeImages'] };

/** Lists the names of repositories. */
export const LIST_REPOSITORIES: Right = { name: 'list', actions: ['ecr:DescribeRepositories'] };
