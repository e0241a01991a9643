//! What a SOCI index is made of: bytes in, bytes out. Knows no network, no files and no async runtime.
//!
//! ```text
//! plan ─▶ layer ──────────────────────────▶ index, convert, choice
//!         inflate ─▶ checkpoints ┐
//!         tar ─▶ entries ────────┼─▶ ztoc
//!         digest ─▶ digests ─────┘
//! ```
//!
//! The entry points are [`layer::pass`], which makes a layer's ztoc; [`index::soci_index`], which makes the index of an image's ztocs;
//! and [`convert::convert`], which makes the new image of version 2.
//!
//! ```
//! use soci_format::{layer, oci::LayerEncoding, ztoc::Ztoc};
//!
//! // A tar archive without members: two blocks of zeros.
//! let archive = [0; 1024];
//! let options = layer::Options::default();
//! let pass = layer::pass(&archive[..], LayerEncoding::Unknown, &options, &mut layer::no_spare_core)?;
//! let ztoc = pass.ztoc?.into_bytes();
//! assert_eq!(Ztoc::parse(&ztoc)?.compressed_size, 1024);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![warn(missing_docs)]

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
