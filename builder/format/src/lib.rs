//! What a SOCI index is made of: bytes in, bytes out. Knows no network, no files and no async runtime.
//!
//! ```text
//! plan ─▶ layer ──────────────────────────▶ index, convert, choice
//!         inflate ─▶ checkpoints ┐
//!         tar ─▶ entries ────────┼─▶ ztoc
//!         digest ─▶ digests ─────┘
//! ```

pub mod choice;
pub mod convert;
pub mod digest;
pub mod image;
pub mod index;
pub mod inflate;
pub mod layer;
pub mod limits;
pub mod oci;
pub mod plan;
pub mod plural;
pub mod printable;
mod processor;
pub mod shell;
pub mod tar;
pub mod tree;
pub mod ztoc;
