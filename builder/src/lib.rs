//! Builds SOCI indexes: an image reference in, a pushed index out.

pub mod convert;
pub mod digest;
pub mod image;
pub mod index;
pub mod inflate;
pub mod layer;
pub mod layout;
pub mod oci;
pub mod plan;
pub mod progress;
pub mod registry;
pub mod report;
pub mod run;
pub mod store;
pub mod tar;
pub mod ztoc;
