//! Which images are meant. In: the arguments, and the list of tags where one is given. Out: references, or why there are none. Asks no
//! registry.

use std::{collections::HashMap, io, path::PathBuf};

use soci_format::{
    index::Version,
    oci::{InvalidReference, LayoutImage, Place, Reference, RepositoryReference, is_tag},
};

use super::IndexArgs;
use crate::cli::{image, path_list};

/// An argument that names an image or, for a list of tags, the repository that has them.
#[derive(Clone, Debug)]
pub(crate) enum Named {
    Image(Reference),
    /// A repository, and why it is no image.
    Repository(RepositoryReference, InvalidReference),
}

impl Named {
    pub(super) fn parse(text: &str) -> Result<Self, InvalidReference> {
        image(text).map(Self::Image).or_else(|refusal| {
            let repository = text.parse::<RepositoryReference>();
            match repository.ok().filter(|named| named.tag.is_none()) {
                Some(repository) => Ok(Self::Repository(repository, refusal)),
                None => Err(refusal),
            }
        })
    }
}

/// The images to index.
pub(super) enum Images {
    One(Reference),
    Several(Vec<Reference>),
}

/// Why it is not known which images are meant, or why they cannot be indexed with one call.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    #[error(transparent)]
    Image(#[from] InvalidReference),
    #[error("cannot read the list of tags {}", .list.display())]
    List { list: PathBuf, source: io::Error },
    #[error(
        "--tag-list needs one IMAGE, the repository that has the tags (host/repo or oci:DIR), without a tag or digest of its own"
    )]
    NoRepository,
    #[error("the list of tags {} is empty", .0.display())]
    NoTags(PathBuf),
    #[error(
        "{tag:?} in the list of tags {} cannot be a tag: tags have at most 128 letters, digits, '_', '.' and '-'", .list.display()
    )]
    NotATag { list: PathBuf, tag: String },
    #[error("only one of --tag-list and --prefetch-files-from can be standard input")]
    StdinTwice,
    #[error(
        "--output-tag cannot be combined with several images, which would all get that tag; each gets <tag>-soci"
    )]
    OutputTag,
    #[error("{0} has no tag to derive the output tag from; index it on its own, with --output-tag")]
    NoTag(Reference),
    #[error(
        "--copy-to takes a repository without a tag for several images; the copies get the images' own tags"
    )]
    CopyTag,
    #[error("{first} and {second} would both be copied to the tag {tag}")]
    SameTag {
        first: String,
        second: String,
        tag: String,
    },
}

impl Error {
    /// Whether the arguments are wrong, and not what they lead to.
    pub(super) fn is_usage_error(&self) -> bool {
        !matches!(self, Self::List { .. })
    }
}

/// The images that the arguments name.
pub(super) async fn chosen(arguments: &IndexArgs) -> Result<Images, Error> {
    let images = match &arguments.tag_list {
        Some(list) => listed(arguments, list).await?,
        None => {
            let named = arguments.images.iter().map(|named| match named {
                Named::Image(image) => Ok(image.clone()),
                Named::Repository(_, refusal) => Err(Error::from(refusal.clone())),
            });
            let images = named.collect::<Result<Vec<_>, _>>()?;
            if let [image] = &images[..] {
                return Ok(Images::One(image.clone()));
            }
            images
        }
    };
    check(arguments, &images)?;
    Ok(Images::Several(images))
}

/// What has the tags of a list.
enum TagsOf<'a> {
    Repository(&'a RepositoryReference),
    Layout(&'a LayoutImage),
}

impl TagsOf<'_> {
    /// The image under `tag`; `None` where it cannot be a tag. In a layout it may be any name.
    fn image(&self, tag: &str) -> Option<Reference> {
        match self {
            Self::Repository(repository) => {
                let image = || Reference::Registry(repository.image(tag.to_owned()));
                is_tag(tag).then(image)
            }
            Self::Layout(layout) => Some(Reference::Layout(LayoutImage {
                name: Some(tag.to_owned()),
                ..(*layout).clone()
            })),
        }
    }
}

/// The images under the tags of a list.
async fn listed(arguments: &IndexArgs, list: &PathBuf) -> Result<Vec<Reference>, Error> {
    let place = match &arguments.images[..] {
        [Named::Repository(repository, _)] => TagsOf::Repository(repository),
        [Named::Image(Reference::Layout(layout))]
            if layout.name.is_none() && layout.digest.is_none() && layout.place != Place::Stdin =>
        {
            TagsOf::Layout(layout)
        }
        _ => return Err(Error::NoRepository),
    };
    if arguments.prefetch_files_from.as_ref() == Some(list) && list.as_os_str() == "-" {
        return Err(Error::StdinTwice);
    }
    let bytes = path_list::read(list).await.map_err(|source| Error::List {
        list: list.clone(),
        source,
    })?;
    let images = path_list::lines(&bytes).map(|line| {
        let tag = String::from_utf8_lossy(line);
        place.image(&tag).ok_or_else(|| Error::NotATag {
            list: list.clone(),
            tag: tag.into_owned(),
        })
    });
    match images.collect::<Result<Vec<_>, _>>()? {
        images if images.is_empty() => Err(Error::NoTags(list.clone())),
        images => Ok(images),
    }
}

/// Refuses what several images cannot be asked for, before the first is begun.
fn check(arguments: &IndexArgs, images: &[Reference]) -> Result<(), Error> {
    if !arguments.output_tags.is_empty() {
        return Err(Error::OutputTag);
    }
    if let Some(copy_to) = &arguments.copy_to {
        if copy_to.tag.is_some() {
            return Err(Error::CopyTag);
        }
        let mut copied = HashMap::new();
        for image in images {
            let tag = image.tag().unwrap_or_default();
            let first = copied.insert(tag, image).filter(|first| *first != image);
            if let Some(first) = first.filter(|_| !tag.is_empty()) {
                return Err(Error::SameTag {
                    first: first.to_string(),
                    second: image.to_string(),
                    tag: tag.to_owned(),
                });
            }
        }
    }
    let has_no_tag =
        |image: &&Reference| matches!(image, Reference::Registry(image) if image.tag.is_none());
    match images.iter().find(has_no_tag) {
        Some(image) if arguments.index_version == Version::V2 => Err(Error::NoTag(image.clone())),
        _ => Ok(()),
    }
}
