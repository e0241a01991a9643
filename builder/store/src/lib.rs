//! Where images are and indexes go: repositories in registries, and OCI layouts. Both look alike from `store` on.
//!
//! ```text
//! registry ┐
//!          ├─▶ store ─▶ load
//! layout ──┘
//! ```

#[cfg(feature = "aws")]
pub mod aws;
pub mod layout;
pub mod load;
pub mod registry;
#[cfg(feature = "layouts")]
pub mod replace_file;
pub mod store;
