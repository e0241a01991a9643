//! What the result is named, and what names the images beside it. In: the request and the image's own name. Out: names.

use soci_format::{
    index::Version,
    oci::{Place, Reference, is_tag},
};
use soci_store::{
    layout::image_name::{output_name, tag_of},
    store::Store,
};

use super::{Error, Request};

/// Refuses what no run can do, before anything is asked.
pub(super) fn check(request: &Request) -> Result<(), Error> {
    match (&request.image, request.version, &request.output_tags[..]) {
        (_, Version::V1, [_, ..]) => Err(Error::OutputTagOfVersion1),
        _ if request.copy_to.is_some() && request.platforms.len() > 1 => Err(Error::CopyPlatforms),
        _ if request.copy_to.is_some() => Ok(()),
        (Reference::Layout(image), ..) if image.place == Place::Stdin => Err(Error::Stdin),
        _ => Ok(()),
    }
}

/// Refuses a layout that came out of a pipe by another name than that of standard input, unless its image is only to be copied.
pub(super) fn check_store(request: &Request, store: &Store) -> Result<(), Error> {
    match store {
        Store::Layout(layout) if layout.is_read_only() && request.copy_to.is_none() => {
            Err(Error::Stdin)
        }
        _ => Ok(()),
    }
}

/// The name of the image where the result goes: that of the image itself, or the tag of its copy.
pub(super) fn own(request: &Request, source: &Store) -> Result<Option<String>, Error> {
    let name = source.name_of(&request.image)?;
    Ok(match (&request.copy_to, &request.image) {
        (None, _) => name,
        (Some(to), _) if to.tag.is_some() => to.tag.clone(),
        (Some(_), Reference::Registry(_)) => name,
        (Some(_), Reference::Layout(_)) => name.as_deref().and_then(tag_of).map(str::to_owned),
    })
}

/// The names of the image to use afterwards, each once: new ones for version 2, the image's own for version 1, which may have none.
/// In a registry they are tags.
pub(super) fn output(request: &Request, own: Option<&str>) -> Result<Vec<String>, Error> {
    if request.version == Version::V1 {
        return Ok(own.map(str::to_owned).into_iter().collect());
    }
    let asked = match &request.output_tags[..] {
        [] => vec![None],
        tags => tags.iter().map(|tag| Some(tag.as_str())).collect(),
    };
    let mut names = Vec::new();
    for asked in asked {
        let name = new_name(request, own, asked)?;
        if !names.contains(&name) {
            names.push(name);
        }
    }
    Ok(names)
}

/// The new image's name: `asked`, or one that is made of `own`.
fn new_name(request: &Request, own: Option<&str>, asked: Option<&str>) -> Result<String, Error> {
    let name = match &request.image {
        Reference::Layout(_) if request.copy_to.is_none() => {
            output_name(own, asked).map_err(Error::OutputTag)?
        }
        _ => {
            let name = asked.map(str::to_owned);
            let name = name.or_else(|| own.map(|tag| format!("{tag}-soci")));
            match name {
                Some(tag) if !is_tag(&tag) => return Err(Error::OutputTag(tag)),
                name => name,
            }
        }
    };
    name.ok_or(Error::NoOutputTag)
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
