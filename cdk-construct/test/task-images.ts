// Tasks that run images of SociImage, and what tests of them look for.

import { join } from 'path';
import { App, Stage } from 'aws-cdk-lib';
import { Template } from 'aws-cdk-lib/assertions';
import { ContainerImage, FargateTaskDefinition } from 'aws-cdk-lib/aws-ecs';
import { Construct } from 'constructs';
import { INDEX, onlyResource, resourcesOf } from './template';

export const DIRECTORY = join(__dirname, 'programs', 'image');

/** A task with these images in its containers: the first is called `app`. */
export function task(scope: Construct, id: string, ...images: ContainerImage[]): FargateTaskDefinition {
  const definition = new FargateTaskDefinition(scope, id);
  images.forEach((image, at) => definition.addContainer(at === 0 ? 'app' : `app-${at}`, { image }));
  return definition;
}

/** For each container of all tasks, the index whose digest it runs; what is no such digest stays as it is. */
export function indexesOfContainers(template: Template): unknown[] {
  return Object.values(resourcesOf(template, 'AWS::ECS::TaskDefinition')).flatMap(({ Properties }) =>
    (Properties['ContainerDefinitions'] as { Image: unknown }[]).map(({ Image }) => {
      const digest = /@",\{"Fn::GetAtt":\["(\w+)","OutputImageDigest"\]\}\]\]\}$/.exec(JSON.stringify(Image));
      return digest ? digest[1] : Image;
    }),
  );
}

/** Every container waits for the only index of the stack. */
export function expectOneIndexFor(template: Template, containers: number): void {
  const { id } = onlyResource(template, INDEX);
  expect(indexesOfContainers(template)).toEqual(Array.from({ length: containers }, () => id));
}

/** What `cdk deploy` builds and pushes. */
export function dockerImagesOf(scope: App | Stage): unknown[] {
  return scope.synth().artifacts.flatMap((artifact) => {
    const { contents } = artifact as { contents?: { dockerImages?: Record<string, { source: unknown }> } };
    return Object.values(contents?.dockerImages ?? {}).map(({ source }) => source);
  });
}
