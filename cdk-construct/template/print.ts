// Prints the template of SociIndexOnPush.

import { onPushTemplate } from './on-push';

process.stdout.write(`${JSON.stringify(onPushTemplate(), undefined, 1)}\n`);
