//! What must hold for any bytes at all, one function per parser. The fuzz targets call them, and so does
//! `tests/fuzz.rs` with a fixed seed, so that they are kept true where no fuzzer can run.

mod archive;
mod documents;
mod inflate;
mod layout;
mod registry;
mod tar;
mod ztoc;

#[allow(dead_code, reason = "one of the two judges is needed here")]
#[allow(
    clippy::cast_possible_truncation,
    reason = "both ends of a slice of what was in memory"
)]
#[path = "../../format/tests/inflate/judges.rs"]
mod judges;

pub(crate) use archive::archive;
pub(crate) use documents::{manifest, reference};
pub(crate) use inflate::inflate;
pub(crate) use layout::layout;
pub(crate) use registry::registry;
pub(crate) use tar::{pax, tar};
pub(crate) use ztoc::{zinfo, ztoc};
