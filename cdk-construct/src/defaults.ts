// Settings for all indexes of a stack, a stage or an app, and for their provider functions. In: a scope and
// settings. Out: stored on the scope; read by defaults-of.ts.

import { IConstruct } from 'constructs';
import { SociIndexBuildDefaultsProps } from './build-options';
import { SETTINGS, settingsOf, TAKEN } from './defaults-of';

/**
 * Settings that an organization requires for every function, build and log group.
 */
export class SociIndexBuildDefaults {
  /**
   * The settings of a stack, a stage or an app. The innermost scope takes precedence.
   */
  public static of(scope: IConstruct): SociIndexBuildDefaults {
    return new SociIndexBuildDefaults(scope);
  }

  private constructor(private readonly scope: IConstruct) {}

  /**
   * Sets them. Must be called before the first index is defined in the scope.
   */
  public set(props: SociIndexBuildDefaultsProps): void {
    const made = this.scope.node.findAll().find((each) => TAKEN in each);
    if (made !== undefined) {
      throw new Error(
        `SociIndexBuildDefaults must be set before the first index is defined, but ${made.node.path} already exists`,
      );
    }
    Object.defineProperty(this.scope, SETTINGS, { value: { ...settingsOf(this.scope), ...props }, configurable: true });
  }
}
