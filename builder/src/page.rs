//! The page about an image: one HTML file that needs nothing but itself. In: an outline, and what a start fetches. Out: its text,
//! the same for the same image and options.
//!
//! Templates are in `templates/`. They escape all that they insert; the page's policy lets no script run, loads nothing, and takes
//! no style but its own, which it knows by its digest.

mod comparison;
mod files;
mod layers;
mod text;

use askama::Template;
use base64::{Engine, engine::general_purpose::STANDARD};
use soci_format::{
    digest::Digest,
    index::{BUILD_TOOL, Version},
    printable::printable,
};

use crate::{
    reader::{Access, Outline},
    start::{Fetched, Network, Start},
};
use comparison::Comparison;
use files::{FileRow, Files, MissingRow};
use layers::Layers;
use text::{count, counted, percent, share, size, sum};

const STYLE: &str = include_str!("../templates/page.css");

/// A page that could not be written.
#[derive(Debug, thiserror::Error)]
#[error("cannot render the page")]
pub struct Unwritable(#[from] askama::Error);

/// What the page is about.
pub struct Subject<'a> {
    /// The reference of the image, as it was given.
    pub reference: &'a str,
    /// The image.
    pub outline: &'a Outline,
    pub start: Option<&'a Start>,
    /// Over what it goes.
    pub network: Network,
}

#[derive(Template)]
#[template(path = "page.html", whitespace = "minimize")]
struct Page {
    style: &'static str,
    style_digest: String,
    version: &'static str,
    reference: String,
    platform: String,
    root_digest: String,
    manifest_digest: String,
    index: Option<IndexView>,
    overview: Overview,
    start: Option<StartView>,
    layers: Layers,
    files: Files,
    /// The numbers of layers whose files are not known.
    unknown: String,
}

struct IndexView {
    version: &'static str,
    digest: String,
    build_tool: String,
}

struct Overview {
    image_size: String,
    index_size: String,
    index_share: String,
    lazy_size: String,
    lazy_share: String,
    /// Percent, for the bar.
    lazy_bar: String,
    whole_size: String,
    layers: String,
    with_ztoc: String,
    spans: String,
    files: String,
}

struct StartView {
    comparison: Comparison,
    count: String,
    found: Vec<FileRow>,
    missing: Vec<MissingRow>,
}

/// Writes the page.
///
/// # Errors
/// Never, as far as is known: the templates insert plain text only.
pub fn write(subject: &Subject<'_>) -> Result<String, Unwritable> {
    let Subject { outline, start, .. } = *subject;
    let image = &outline.image;
    let files = Files::of(outline, start);
    let layers = Layers::of(outline, start);
    let unknown = layers.list.iter().filter(|layer| !layer.is_known);
    let unknown: Vec<_> = unknown.map(|layer| layer.number.to_string()).collect();
    let page = Page {
        style: STYLE,
        style_digest: style_digest(),
        version: env!("CARGO_PKG_VERSION"),
        reference: printable(subject.reference),
        platform: printable(&image.platform.to_string()),
        root_digest: outline.root.digest.to_string(),
        manifest_digest: image.descriptor.digest.to_string(),
        index: image.index.as_ref().map(|index| IndexView {
            version: match index.version {
                Version::V1 => "1",
                Version::V2 => "2",
            },
            digest: index.descriptor.digest.to_string(),
            build_tool: index
                .manifest
                .annotations
                .get(BUILD_TOOL)
                .map_or_else(String::new, |tool| printable(tool)),
        }),
        overview: Overview::of(outline, files.count),
        start: start.map(|start| StartView::of(outline, start, subject.network)),
        unknown: unknown.join(", "),
        layers,
        files,
    };
    Ok(page.render()?)
}

/// The digest of the style, as a content security policy names it.
fn style_digest() -> String {
    let digest = Digest::of(STYLE.as_bytes());
    format!("sha256-{}", STANDARD.encode(digest.bytes()))
}

impl Overview {
    fn of(outline: &Outline, files: u64) -> Self {
        let image: u64 = sum(outline.layers.iter().map(|layer| layer.descriptor.size));
        let index = outline.image.index.as_ref().map_or(0, |index| {
            let blobs = index.manifest.layers.iter().map(|blob| blob.size);
            sum(blobs).saturating_add(index.descriptor.size)
        });
        let lazy = outline
            .layers
            .iter()
            .filter_map(|layer| match &layer.access {
                Access::Spans { spans, .. } => {
                    Some((layer.descriptor.size, spans.list().len() as u64))
                }
                Access::Whole { .. } => None,
            });
        let lazy: Vec<_> = lazy.collect();
        let lazy_size = sum(lazy.iter().map(|(size, _)| *size));
        Self {
            image_size: size(image),
            index_size: size(index),
            index_share: percent(index, image),
            lazy_size: size(lazy_size),
            lazy_share: percent(lazy_size, image),
            lazy_bar: format!("{:.1}", share(lazy_size, image)),
            whole_size: size(image - lazy_size),
            layers: counted(outline.layers.len() as u64, "layer", "layers"),
            with_ztoc: count(lazy.len() as u64),
            spans: counted(sum(lazy.iter().map(|(_, spans)| *spans)), "span", "spans"),
            files: counted(files, "file", "files"),
        }
    }
}

impl StartView {
    fn of(outline: &Outline, start: &Start, network: Network) -> Self {
        let (found, missing) = files::of_start(outline, start);
        Self {
            comparison: Comparison::of(&start.lazy, &Fetched::whole(outline), network),
            count: counted(start.files.len() as u64, "path", "paths"),
            found,
            missing,
        }
    }
}
