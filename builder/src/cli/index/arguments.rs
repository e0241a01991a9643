//! The flags of `soci-builder index`, and the request that they make.

use std::path::PathBuf;

use bytesize::ByteSize;
use clap::{
    Args, ValueEnum,
    builder::{PossibleValuesParser, TypedValueParser},
};
use soci_format::{
    index::{IndexOptions, Version},
    limits::Limits,
    oci::{Platform, Reference, RepositoryReference},
    ztoc::DEFAULT_BUILD_TOOL,
};
use soci_index::run::{FallbackAction, Request};

use super::images::Named;
use crate::cli::span_size;

/// How the images to index are named.
const IMAGES_HELP: &str = "The images, indexed one after the other: host/repo:tag, host/repo@sha256:…, oci:DIR[:NAME][@DIGEST] or oci-archive:FILE[:NAME][@DIGEST]; with --tag-list one repository, host/repo";

/// The flags.
#[derive(Args, Clone)]
pub(crate) struct IndexArgs {
    /// The images, indexed one after the other
    #[arg(value_name = "IMAGE", required = true, long_help = IMAGES_HELP, value_parser = Named::parse)]
    pub(crate) images: Vec<Named>,
    /// Index these tags of the repository IMAGE (host/repo, or oci:DIR): one per line, blank lines and # comments ignored; - is
    /// stdin
    #[arg(long, value_name = "FILE|-")]
    pub(crate) tag_list: Option<PathBuf>,
    /// Copy the image into this repository meanwhile (with --platform only that platform) and push the index there; the copy gets
    /// the image's own tag unless one is given
    #[arg(long, value_name = "HOST/REPO[:TAG]")]
    pub(crate) copy_to: Option<RepositoryReference>,
    /// Index version: v2 pushes a new image that contains the index; v1 attaches the index to the existing image
    #[arg(long, value_parser = version(), default_value_t = Version::V2)]
    pub(crate) index_version: Version,
    /// Tag of the new image (version 2 only); may be repeated [default: <tag>-soci]
    #[arg(long = "output-tag", value_name = "TAG")]
    pub(crate) output_tags: Vec<String>,
    /// Index only this platform; may be repeated [default: all platforms]
    #[arg(long = "platform", value_name = "OS/ARCH[/VARIANT]")]
    pub(crate) platforms: Vec<Platform>,
    /// Skip layers whose compressed size is below this
    #[arg(long, value_name = "SIZE", default_value = "10MiB")]
    pub(crate) min_layer_size: ByteSize,
    /// Uncompressed bytes per span; smaller spans start containers faster but enlarge the index
    #[arg(long, value_name = "SIZE", default_value = "4MiB", value_parser = span_size)]
    pub(crate) span_size: ByteSize,
    /// Prefetch this file when the container starts; may be repeated
    #[arg(long = "prefetch-file", value_name = "PATH")]
    pub(crate) prefetch_files: Vec<String>,
    /// Read files to prefetch from a list: one per line, blank lines and # comments ignored, or a JSON array; - is stdin
    #[arg(long, value_name = "FILE|-")]
    pub(crate) prefetch_files_from: Option<PathBuf>,
    /// Enable an optimization; xattr marks layers that have no extended attributes
    #[arg(long = "optimization", value_enum)]
    pub(crate) optimizations: Vec<Optimization>,
    /// Reuse the index of this tag in the same repository for layers that both images share
    #[arg(long, value_name = "TAG")]
    pub(crate) reuse_from: Option<String>,
    /// Fail if a layer cannot be indexed, instead of skipping it
    #[arg(long)]
    pub(crate) strict: bool,
    /// What to do if every layer is below --min-layer-size
    #[arg(long, value_parser = action(), default_value_t = FallbackAction::UseOriginal, value_name = "ACTION")]
    pub(crate) when_too_small: FallbackAction,
    /// What to do if no layer can be indexed, for example because all use zstd
    #[arg(long, value_parser = action(), default_value_t = FallbackAction::Fail, value_name = "ACTION")]
    pub(crate) when_unsupported: FallbackAction,
    /// Build tool identifier to record in the index (changes its digest)
    #[arg(long, value_name = "TEXT", default_value = DEFAULT_BUILD_TOOL)]
    pub(crate) build_tool_identifier: String,
    /// Print the result as one JSON object, even on failure; of several images one object a line, each with its image
    #[arg(long)]
    pub(crate) json: bool,
    /// Omit per-layer details from the result; keep the counts
    #[arg(long)]
    pub(crate) brief: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Optimization {
    Xattr,
}

impl IndexArgs {
    /// What is asked of each image; here of `image`.
    pub(crate) fn request(self, image: Reference, limits: Limits) -> Request {
        Request {
            image,
            copy_to: self.copy_to,
            version: self.index_version,
            output_tags: self.output_tags,
            platforms: self.platforms,
            options: IndexOptions {
                min_layer_size: self.min_layer_size.as_u64(),
                span_size: self.span_size.as_u64(),
                prefetch_files: self.prefetch_files,
                optimize_xattrs: self.optimizations.contains(&Optimization::Xattr),
                build_tool: self.build_tool_identifier,
            },
            reuse_from: self.reuse_from,
            strict: self.strict,
            when_too_small: self.when_too_small,
            when_unsupported: self.when_unsupported,
            limits,
        }
    }
}

fn version() -> impl TypedValueParser<Value = Version> {
    PossibleValuesParser::new(Version::NAMES).try_map(|name| name.parse())
}

fn action() -> impl TypedValueParser<Value = FallbackAction> {
    PossibleValuesParser::new(FallbackAction::NAMES).try_map(|name| name.parse())
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::{Cli, Command};

    #[test]
    fn defaults_are_the_library_s() {
        let cli = Cli::parse_from(["soci-builder", "index", "oci:image"]);
        let Command::Index(arguments) = cli.command else {
            panic!("another command");
        };
        let image: Reference = "oci:image".parse().unwrap();
        let request = Request::new(image.clone());
        let ours = arguments.request(image, Limits::default());
        assert_eq!(format!("{ours:?}"), format!("{request:?}"));
        assert_eq!(ours.options, IndexOptions::default());
    }
}
