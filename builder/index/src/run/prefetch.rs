//! The files to prefetch: paths in; out the spans that they lie in, by layer, and the paths that lead to no file that can be
//! prefetched, with the reason. Paths are resolved as `cat` resolves them: in the file system that all layers make.

use std::collections::HashMap;

use soci_format::{
    index::{SpanRange, prefetch_artifact},
    oci::Descriptor,
    tar::Kind,
    tree::{NotFound, Tree},
};

use super::{
    Error, Request, chain,
    layers::{Contents, Layer, Layers},
    names::Names,
    target::Target,
};
use crate::{progress::Progress, report::NotPrefetched};

/// What of the files asked for a platform's index prefetches.
#[derive(Default)]
pub(super) struct Prefetched {
    /// The artifacts, in the order of the layers.
    pub(super) artifacts: Vec<(Descriptor, Vec<u8>)>,
    pub(super) not_found: Vec<NotPrefetched>,
    /// What is prefetched, though it may not be the file that a container sees.
    pub(super) doubts: Vec<String>,
}

/// Finds the files that the request asks for in a platform's layers.
pub(super) fn find(
    target: &Target<'_>,
    layers: &Layers,
    names: &Names,
    request: &Request,
) -> Prefetched {
    let paths = &request.options.prefetch_files;
    let mut prefetched = Prefetched::default();
    if paths.is_empty() {
        return prefetched;
    }
    let files = Files::of(target, layers, names, request.limits.tree_bytes);
    let mut spans: HashMap<usize, Vec<SpanRange>> = HashMap::new();
    for (at, path) in paths.iter().enumerate() {
        if paths[..at].contains(path) {
            continue;
        }
        let place = files.as_ref().map_err(String::clone);
        match place.and_then(|files| files.place(path)) {
            Ok((layer, range, doubt)) => {
                spans.entry(layer).or_default().push(range);
                prefetched.doubts.extend(doubt.map(|layer| {
                    format!(
                        "{path} is prefetched from the layer where it was found; {layer}, whose files are unknown, may replace it"
                    )
                }));
            }
            Err(reason) => prefetched.not_found.push(NotPrefetched {
                platform: target.platform.to_string(),
                path: path.clone(),
                reason,
            }),
        }
    }
    let with_spans = target.manifest.layers.iter().enumerate();
    prefetched.artifacts = with_spans
        .filter_map(|(number, layer)| prefetch_artifact(layer, spans.remove(&number)?))
        .collect();
    prefetched
}

/// What a run without an index says of the files to prefetch.
pub(super) fn without_index(targets: &[Target<'_>], paths: &[String]) -> Vec<NotPrefetched> {
    let of_target = |target: &Target<'_>| {
        let platform = target.platform.to_string();
        let not_found = paths.iter().map(move |path| NotPrefetched {
            platform: platform.clone(),
            path: path.clone(),
            reason: "no layer of the image has a ztoc".to_owned(),
        });
        not_found.collect::<Vec<_>>()
    };
    targets.iter().flat_map(of_target).collect()
}

/// Warns about files that are not prefetched, or fails where the run is strict.
pub(super) fn report_missing(
    not_found: &[NotPrefetched],
    strict: bool,
    progress: &dyn Progress,
) -> Result<(), Error> {
    if strict && !not_found.is_empty() {
        return Err(Error::Prefetch(not_found.to_vec()));
    }
    for of in not_found {
        progress.warn(&format!("cannot prefetch {of}"));
    }
    Ok(())
}

/// The files of one platform's image.
struct Files<'a> {
    layers: &'a [Descriptor],
    /// What is known of the layers that have a ztoc.
    indexed: Vec<Option<&'a Contents>>,
    tree: Tree,
}

impl<'a> Files<'a> {
    fn of(
        target: &'a Target<'_>,
        layers: &'a Layers,
        names: &'a Names,
        tree_bytes: u64,
    ) -> Result<Self, String> {
        let mut files = Self {
            layers: &target.manifest.layers,
            indexed: Vec::new(),
            tree: Tree::within(tree_bytes),
        };
        for (number, layer) in target.manifest.layers.iter().enumerate() {
            let contents = match layers.find(&layer.digest) {
                Some(Layer::Indexed { facts, .. }) => Some(&facts.contents),
                Some(Layer::Skipped(_)) | None => None,
            };
            let toc = match contents {
                Some(contents) => contents.files.as_ref().map(|files| &files.toc),
                None => names.of(&layer.digest),
            };
            match toc {
                Some(toc) => files.tree.apply(number, toc).map_err(|error| {
                    format!(
                        "{} cannot be unpacked: {}",
                        files.name(number),
                        chain(&error)
                    )
                })?,
                None => files.tree.leave_out(number),
            }
            files.indexed.push(contents);
        }
        Ok(files)
    }

    /// The layer that has the file at `path`, the spans there, and the layer that casts doubt on that.
    fn place(&self, path: &str) -> Result<(usize, SpanRange, Option<String>), String> {
        let path = path.as_bytes();
        let node = self
            .tree
            .find(path, true)
            .map_err(|why| self.missing(&why))?;
        let inode = self.tree.inode(node);
        if inode.kind != Kind::Regular {
            let kind = inode.kind.described();
            return Err(format!("it is {kind}, not a regular file"));
        }
        let contents = self.indexed.get(inode.layer).copied().flatten();
        let Some(files) = contents.and_then(|contents| contents.files.as_ref()) else {
            return Err(format!(
                "it is in {}, which has no ztoc",
                self.name(inode.layer)
            ));
        };
        let spans = SpanRange::holding(&inode.payload(), &files.span_starts)
            .ok_or_else(|| "the ztoc of its layer has no span that contains it".to_owned())?;
        let doubt = self.tree.doubt(path).map(|layer| self.name(layer));
        Ok((inode.layer, spans, doubt))
    }

    fn missing(&self, why: &NotFound) -> String {
        let mut reason = match why {
            NotFound::Missing(_) => "no such file".to_owned(),
            other => other.to_string(),
        };
        if let Some(&layer) = self.tree.gaps().first() {
            let name = self.name(layer);
            reason += &format!(", unless in {name}, whose files are unknown");
        }
        reason
    }

    fn name(&self, layer: usize) -> String {
        format!("layer {} ({})", layer + 1, self.layers[layer].digest)
    }
}
