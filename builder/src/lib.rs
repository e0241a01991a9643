//! Builds SOCI indexes: an image reference in, a pushed index out.

pub mod digest;
pub mod inflate;
pub mod layer;
pub mod layout;
pub mod oci;
pub mod registry;
pub mod tar;
pub mod ztoc;
