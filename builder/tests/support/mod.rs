//! What the integration tests share.

pub mod fake_registry;
pub mod image;
pub mod program;
pub mod quiet;
