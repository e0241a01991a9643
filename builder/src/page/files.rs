//! The files on the page: the largest of the image, and those that a start opens.
//! In: an outline, and a start. Out: rows of tables.

use soci_format::printable::{printable, printable_bytes};
use soci_format::tar::Kind;

use super::text::{counted, size, span_range};
use crate::{
    reader::{Access, Outline},
    start::{Place, Start},
};

/// How many of the largest files are shown.
const LARGEST: usize = 100;

/// The regular files of an image.
pub(super) struct Files {
    /// How many there are.
    pub(super) count: u64,
    /// The largest of them, the largest first.
    pub(super) largest: Vec<FileRow>,
}

pub(super) struct FileRow {
    pub(super) path: String,
    pub(super) size: String,
    /// From 1.
    pub(super) layer: usize,
    /// Where in the layer.
    pub(super) spans: String,
}

/// A path that leads nowhere.
pub(super) struct MissingRow {
    pub(super) path: String,
    pub(super) reason: String,
}

impl Files {
    pub(super) fn of(outline: &Outline, start: Option<&Start>) -> Self {
        let Ok(root) = outline.tree.find(b"/", true) else {
            return Self {
                count: 0,
                largest: Vec::new(),
            };
        };
        let mut files = outline.tree.all(root);
        files.retain(|(_, node)| outline.tree.inode(*node).kind == Kind::Regular);
        let count = files.len() as u64;
        let size_of = |node| std::cmp::Reverse(outline.tree.inode(node).size);
        files.sort_by(|(path, node), (other, of)| {
            (size_of(*node), path).cmp(&(size_of(*of), other))
        });
        files.truncate(LARGEST);
        let rows = files.iter().map(|(path, node)| {
            let place = Place::of(outline, *node);
            let mut row = FileRow::of(outline, path, &place);
            // For this file or for others: spans hold parts of several.
            let needed = start.and_then(|start| start.spans.get(place.layer));
            let needed = needed.map_or(0, |needed| needed.range(place.spans).count());
            if needed > 0 {
                row.spans = format!("{}, {needed} needed", row.spans);
            }
            row
        });
        Self {
            count,
            largest: rows.collect(),
        }
    }
}

impl FileRow {
    fn of(outline: &Outline, path: &[u8], place: &Place) -> Self {
        let access = outline.layers.get(place.layer).map(|layer| &layer.access);
        let spans = match (place.kind, place.size, access) {
            (Kind::Regular, 1.., Some(Access::Whole { .. })) => "the whole layer".to_owned(),
            (Kind::Regular, 1.., _) => {
                let of = &place.spans;
                let count = counted(of.len() as u64, "span", "spans");
                match of.is_empty() {
                    true => count,
                    false => format!("{count}: {}", span_range(of.start, of.end)),
                }
            }
            (Kind::Regular, ..) => "none: it is empty".to_owned(),
            (kind, ..) => format!("none: it is a {}", kind_name(kind)),
        };
        Self {
            path: printable_bytes(path),
            size: size(place.size),
            layer: place.layer + 1,
            spans,
        }
    }
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Regular | Kind::HardLink => "file",
        Kind::Symlink => "symbolic link",
        Kind::Directory => "directory",
        Kind::Char | Kind::Block => "device",
        Kind::Fifo => "pipe",
    }
}

/// The files that a start opens, and the paths among them that lead nowhere.
pub(super) fn of_start(outline: &Outline, start: &Start) -> (Vec<FileRow>, Vec<MissingRow>) {
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for file in &start.files {
        match &file.place {
            Ok(place) => found.push(FileRow::of(outline, &file.path, place)),
            Err(reason) => missing.push(MissingRow {
                path: printable_bytes(&file.path),
                reason: printable(&reason.to_string()),
            }),
        }
    }
    (found, missing)
}
