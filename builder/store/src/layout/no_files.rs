//! In the place of `files.rs` for programs that only know registries: no layout can be opened.

use soci_format::oci::Place;

use super::{Error, Layout};

impl Layout {
    /// Never: nothing that reads files is compiled.
    pub fn open(place: &Place) -> Result<Self, Error> {
        Err(Error::NoFiles(place.clone()))
    }
}
