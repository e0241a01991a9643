// What holds for all indexes of a stack, a stage or an app, and for the functions that answer CloudFormation. In: a scope and
// settings. Out: they are kept there, for whoever reads them (defaults-of.ts).

import { IConstruct } from 'constructs';
import { SociIndexBuildDefaultsProps } from './build-options';
import { PROVIDER_ID, SETTINGS, settingsOf } from './defaults-of';

/**
 * The one place for settings that rules of an organization ask of every function, build and log group.
 */
export class SociIndexBuildDefaults {
  /**
   * The settings of a stack, a stage or an app. What is set nearest to an index counts.
   */
  public static of(scope: IConstruct): SociIndexBuildDefaults {
    return new SociIndexBuildDefaults(scope);
  }

  private constructor(private readonly scope: IConstruct) {}

  /**
   * Sets them, before the first index is defined there.
   */
  public set(props: SociIndexBuildDefaultsProps): void {
    const made = this.scope.node.findAll().find(({ node }) => node.id === PROVIDER_ID);
    if (made !== undefined) {
      throw new Error(
        `SociIndexBuildDefaults must be set before the first index is defined, got them after ${made.node.path} was`,
      );
    }
    Object.defineProperty(this.scope, SETTINGS, { value: { ...settingsOf(this.scope), ...props }, configurable: true });
  }
}
