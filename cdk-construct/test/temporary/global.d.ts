/** The folder that create.ts makes and remove.ts removes. */
// eslint-disable-next-line no-var -- nothing else becomes a member of globalThis
declare var temporaryFiles: string;
