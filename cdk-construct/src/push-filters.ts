// Which pushes are indexed. In: filters as users write them, `repository` or `repository:tag`, and repositories. Out: both parts
// of each filter, validated. `*` stands for any number of any characters; a repository's name may be a token, a filter may not.

import { Stack, Token } from 'aws-cdk-lib';
import { IRepository } from 'aws-cdk-lib/aws-ecr';
import { quoted } from './validate';

/** Matches everything, as a part of a filter. */
export const ANYTHING = '*';

export interface PushFilter {
  readonly repository: string;
  readonly tag: string;
}

/** ECR's characters of a name, and the wildcard. */
const REPOSITORY = /^[a-z0-9._/*-]+$/;
const TAG = /^[A-Za-z0-9._*-]+$/;

/** The host of a registry, which users copy along with a name. */
const REGISTRY = /^\d{12}\.dkr\.ecr\./;

export function filterOf(text: string): PushFilter {
  const [repository, tag = ANYTHING] = text.split(':', 2);
  return { repository, tag };
}

/** All filters of a construct, as the function reads them: a repository without a tag has all of them. */
export function filterTexts(filters: string[] = [], repositories: IRepository[] = []): string[] {
  return [...filters, ...repositories.map(({ repositoryName }) => repositoryName)];
}

export function checkFilters(filters: string[] | undefined, repositories: IRepository[] | undefined, outputSuffix?: string): void {
  if (filterTexts(filters, repositories).length === 0) {
    throw new Error(
      `'filters' or 'repositories' is required: they select the images to index, and ['${ANYTHING}'] selects every image`,
    );
  }
  for (const filter of filters ?? []) {
    checkFilter(filter, outputSuffix);
  }
}

function checkFilter(filter: string, outputSuffix?: string): void {
  if (Token.isUnresolved(filter)) {
    throw new Error(
      "'filters' must be known at synth, because permissions and the event pattern are derived from them, got a token: " +
        "use 'repositories' for repositories of this app",
    );
  }
  const [, repository, tag] = /^([^:]*)(?::(.*))?$/s.exec(filter) as unknown as [string, string, string?];
  const problem = problemOf(repository, tag, outputSuffix);
  if (problem !== undefined) {
    throw new Error(`'filters' must be like 'team/app' or 'team/*:v*': ${problem}, got ${quoted(filter)}`);
  }
}

function problemOf(repository: string, tag: string | undefined, outputSuffix?: string): string | undefined {
  if (REGISTRY.test(repository)) {
    return "a repository's name does not include its registry";
  }
  if (!REPOSITORY.test(repository)) {
    return "the repository must contain only lowercase letters, digits, '.', '_', '-', '/' and '*'";
  }
  if (tag !== undefined && !TAG.test(tag)) {
    return "the tag must contain only letters, digits, '.', '_', '-' and '*'";
  }
  if (repository.includes('**') || tag?.includes('**') === true) {
    return "'**' means the same as '*'";
  }
  if (outputSuffix !== undefined && !Token.isUnresolved(outputSuffix) && tag?.endsWith(outputSuffix) === true) {
    return `tags that end in the output suffix ${quoted(outputSuffix)} are never indexed`;
  }
  return undefined;
}

/** Events of ECR stay in their account and region. */
export function checkRepositories(scope: Stack, repositories: IRepository[] = []): void {
  for (const { env, node } of repositories) {
    for (const [what, own, other] of [
      ['account', scope.account, env.account],
      ['region', scope.region, env.region],
    ]) {
      if (own !== other && !Token.isUnresolved(own) && !Token.isUnresolved(other)) {
        throw new Error(
          `'repositories' must be in the ${what} of their stack (${quoted(own)}), because ECR sends events only there, got ` +
            `${quoted(other)} for ${node.path}: define another SociIndexOnPush in a stack there`,
        );
      }
    }
  }
}
