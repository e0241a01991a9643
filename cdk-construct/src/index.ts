// What users can import. Nothing else is public.

export * from './soci-image';
export * from './build-options';
export * from './soci-index-build';
export * from './soci-index-v2-build';
export * from './defaults';
export * from './on-push-props';
export * from './soci-index-on-push';
export * from './soci-start-times';
