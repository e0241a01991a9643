//! Builds SOCI indexes: an image reference in, a pushed index out.

pub mod digest;
pub mod oci;
