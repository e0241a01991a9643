//! What the result is named, and what names the images beside it. In: the request and the image's own name. Out: names.

use soci_format::{
    index::Version,
    oci::{Place, Reference, is_tag},
};
use soci_store::{layout::image_name::output_name, store::Store};

use super::{Error, Request};

/// Refuses what no run can do, before anything is asked.
pub(super) fn check(request: &Request) -> Result<(), Error> {
    match (&request.image, request.version, &request.output_tag) {
        (_, Version::V1, Some(_)) => Err(Error::OutputTagOfVersion1),
        (Reference::Layout(image), ..) if image.place == Place::Stdin => Err(Error::Stdin),
        _ => Ok(()),
    }
}

/// Refuses a layout that came out of a pipe by another name than that of standard input.
pub(super) fn check_store(store: &Store) -> Result<(), Error> {
    match store {
        Store::Layout(layout) if layout.is_read_only() => Err(Error::Stdin),
        _ => Ok(()),
    }
}

/// The name of the image to use afterwards: a new one for version 2, the image's own for version 1. In a registry it is a tag.
pub(super) fn output(request: &Request, own: Option<&str>) -> Result<Option<String>, Error> {
    if request.version == Version::V1 {
        return Ok(own.map(str::to_owned));
    }
    let asked = request.output_tag.as_deref();
    let output = match &request.image {
        Reference::Layout(_) => output_name(own, asked).map_err(Error::OutputTag)?,
        Reference::Registry(_) => {
            let output = asked.map(str::to_owned);
            let output = output.or_else(|| own.map(|tag| format!("{tag}-soci")));
            match output {
                Some(tag) if !is_tag(&tag) => return Err(Error::OutputTag(tag)),
                output => output,
            }
        }
    };
    output.map_or(Err(Error::NoOutputTag), |output| Ok(Some(output)))
}

/// The name of the image to reuse ztocs from. In a layout it is a name there, or else a tag beside the image's own.
pub(super) fn reuse_from(request: &Request, store: &Store) -> Option<String> {
    let tag = request.reuse_from.clone();
    match (store, &tag) {
        (Store::Layout(layout), Some(name)) if matches!(layout.resolve(Some(name)), Ok(None)) => {
            let own = store.name_of(&request.image).ok().flatten();
            let beside = output_name(own.as_deref(), Some(name));
            beside.ok().flatten().or(tag)
        }
        _ => tag,
    }
}
