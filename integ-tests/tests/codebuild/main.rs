//! CodeBuild: real buildspecs, every end of a build, and the API as the provider's SDK sees it.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod calls;
mod ends;
mod places;
mod runs;
mod support;
