//! `soci-builder ls` and `cat`: files of an image, read through its index.

use std::io::{self, Write};

use serde::Serialize;
use soci_builder::reader::{self, Reader};
use soci_format::{digest::Digest, printable::printable, tar::Kind, tree::NodeId};
use soci_index::run::chain;
use tokio::io::AsyncWriteExt;

use super::{Access, CatArgs, LsArgs, OnImage, print};
use crate::exit_status::{ExitStatus, Output};

/// A directory, or what else is at a path.
#[derive(Serialize)]
struct Listing {
    platform: String,
    manifest_digest: Digest,
    index: Option<IndexInfo>,
    /// Layers whose entries are missing here; they may have replaced or removed what layers below have.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    unknown_layers: Vec<UnknownInfo>,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct IndexInfo {
    version: &'static str,
    digest: Digest,
}

#[derive(Serialize)]
struct UnknownInfo {
    /// From 1.
    layer: usize,
    digest: Digest,
    reason: String,
}

#[derive(Serialize)]
struct Entry {
    path: String,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: String,
    uid: u32,
    gid: u32,
    size: u64,
    modified: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<String>,
    /// From 1, as errors count.
    layer: usize,
    /// Whether a layer above, whose files are not known, may have replaced or removed it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    uncertain: bool,
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read {image}")]
struct Failed {
    image: String,
    source: reader::Error,
}

pub(crate) async fn ls(arguments: LsArgs, access: &Access) -> Result<Output, ExitStatus> {
    let failed = |source| arguments.image.failed(source);
    let reader = arguments.image.open(access).await.map_err(failed)?;
    let path = arguments.path.as_encoded_bytes();
    let listing = list(&reader, path, arguments.recursive).map_err(failed)?;
    for unknown in &reader.unknown {
        let warning = format!(
            "warning: {} cannot be read: its entries are missing, and it may have replaced or removed entries of the layers below: {}",
            unknown.name(),
            chain(&unknown.reason)
        );
        // Where nobody reads stderr, the result still says it to whoever asks for JSON.
        let _ = writeln!(io::stderr(), "{}", printable(&warning));
    }
    print::output(arguments.json, &listing, text, ExitStatus::Success)
}

pub(crate) async fn cat(arguments: CatArgs, access: &Access) -> Result<Output, ExitStatus> {
    let failed = |source| arguments.image.failed(source);
    let reader = arguments.image.open(access).await.map_err(failed)?;
    // Looked up before anything is printed: a closed stdout does not hide that a file is missing.
    let (mut files, mut status, mut doubt) = (Vec::new(), ExitStatus::Success, None);
    for path in &arguments.paths {
        match reader.file(path.as_encoded_bytes()) {
            Ok(file) => {
                files.push(file);
                doubt = doubt.or_else(|| reader.doubt(path.as_encoded_bytes()));
            }
            Err(error) => {
                status = failed(error);
                break;
            }
        }
    }
    // What is known is printed all the same; the exit code says that it may be another file.
    if let (Some(doubt), ExitStatus::Success) = (doubt, &status) {
        status = failed(doubt);
    }
    let mut out = tokio::io::stdout();
    let mut contents = reader.contents(files);
    while let Some(piece) = contents.next().await.map_err(failed)? {
        if let Err(error) = out.write_all(&piece).await {
            return Ok(status.after_printing(Err(error)).into());
        }
    }
    let printed = out.flush().await;
    Ok(status.after_printing(printed).into())
}

impl OnImage {
    async fn open(&self, access: &Access) -> Result<Reader, reader::Error> {
        let store = access.open(&self.image)?;
        let reader = Reader::open(store, &self.image, self.platform.as_ref()).await?;
        if let Some(warning) = &reader.image.warning {
            print::warn(warning);
        }
        Ok(reader)
    }

    fn failed(&self, source: reader::Error) -> ExitStatus {
        let image = self.image.to_string();
        ExitStatus::Failed(Failed { image, source }.into())
    }
}

fn list(reader: &Reader, path: &[u8], recursive: bool) -> Result<Listing, reader::Error> {
    let node = reader.find(path)?;
    let tree = reader.tree();
    let named: Vec<(Vec<u8>, NodeId)> = match (tree.inode(node).kind, recursive) {
        (Kind::Directory, true) => tree.all(node),
        (Kind::Directory, false) => tree
            .children(node)
            .map(|(name, node)| (name.to_vec(), node))
            .collect(),
        _ => vec![(path.to_vec(), node)],
    };
    let image = &reader.image;
    Ok(Listing {
        platform: image.platform.to_string(),
        manifest_digest: image.descriptor.digest,
        index: image.index.as_ref().map(|index| IndexInfo {
            version: index.version.name(),
            digest: index.descriptor.digest,
        }),
        unknown_layers: reader
            .unknown
            .iter()
            .map(|unknown| UnknownInfo {
                layer: unknown.number + 1,
                digest: unknown.digest,
                reason: chain(&unknown.reason),
            })
            .collect(),
        entries: named
            .into_iter()
            .map(|(path, node)| entry(reader, &path, node))
            .collect(),
    })
}

fn entry(reader: &Reader, path: &[u8], node: NodeId) -> Entry {
    let inode = reader.tree().inode(node);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Entry {
        path: text(path),
        kind: inode.kind.as_str(),
        mode: format!("{:04o}", inode.mode),
        uid: inode.uid,
        gid: inode.gid,
        size: inode.size,
        modified: inode.modified.clone(),
        target: (inode.kind == Kind::Symlink).then(|| text(&inode.link_name)),
        layer: inode.layer + 1,
        uncertain: reader
            .unknown
            .last()
            .is_some_and(|unknown| unknown.number > inode.layer),
    }
}

fn text(out: &mut impl Write, listing: &Listing) -> io::Result<()> {
    let width = |of: &dyn Fn(&Entry) -> u64| {
        let longest = listing.entries.iter().map(of).max().unwrap_or(0);
        longest.to_string().len()
    };
    let (uid, gid) = (width(&|of| of.uid.into()), width(&|of| of.gid.into()));
    let size = width(&|of| of.size);
    for of in &listing.entries {
        let target = of.target.as_deref();
        let target = target.map(|to| format!(" -> {}", printable(to)));
        writeln!(
            out,
            "{} {:>uid$} {:>gid$} {:>size$} {:<20} {}{}",
            permissions(of),
            of.uid,
            of.gid,
            of.size,
            printable(&of.modified),
            printable(&of.path),
            target.unwrap_or_default()
        )?;
    }
    Ok(())
}

/// `drwxr-xr-x`, as `ls -l` writes it.
fn permissions(of: &Entry) -> String {
    let kind = match of.kind {
        "dir" => 'd',
        "symlink" => 'l',
        "char" => 'c',
        "block" => 'b',
        "fifo" => 'p',
        _ => '-',
    };
    let mode = u32::from_str_radix(&of.mode, 8).unwrap_or(0);
    let mut text = String::from(kind);
    for (shift, special, letter) in [(6, 0o4000, 's'), (3, 0o2000, 's'), (0, 0o1000, 't')] {
        let bits = mode >> shift;
        text.push(if bits & 4 != 0 { 'r' } else { '-' });
        text.push(if bits & 2 != 0 { 'w' } else { '-' });
        text.push(match (mode & special != 0, bits & 1 != 0) {
            (true, true) => letter,
            (true, false) => letter.to_ascii_uppercase(),
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    text
}
