//! What the integration tests share.

pub mod fake_registry;
pub mod image;
pub mod program;
pub mod quiet;
pub mod real_registry;
pub mod scratch;
