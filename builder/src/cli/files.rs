//! `soci-builder ls` and `cat`: files of an image, read through its index.

use std::io;

use serde::Serialize;
use soci_builder::{
    digest::Digest,
    index::Version,
    limits::Limits,
    printable::printable,
    reader::{self, Reader},
    registry::Client,
    store::Store,
    tar::Kind,
    tree::NodeId,
};
use tokio::io::AsyncWriteExt;

use super::{CatArgs, LsArgs, OnImage, print};
use crate::ending::{Answer, Ending};

/// A directory, or what else is at a path.
#[derive(Serialize)]
struct Listing {
    platform: String,
    manifest_digest: Digest,
    index: Option<IndexInfo>,
    entries: Vec<Entry>,
}

#[derive(Serialize)]
struct IndexInfo {
    version: &'static str,
    digest: Digest,
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
}

#[derive(Debug, thiserror::Error)]
#[error("cannot read {image}")]
struct Failed {
    image: String,
    source: reader::Error,
}

pub(crate) async fn ls(arguments: LsArgs, client: &Client) -> Result<Answer, Ending> {
    let failed = |source| arguments.image.failed(source);
    let reader = arguments.image.open(client).await.map_err(failed)?;
    let path = arguments.path.as_encoded_bytes();
    let listing = list(&reader, path, arguments.recursive).map_err(failed)?;
    print::answer(arguments.json, &listing, text, Ending::Done)
}

pub(crate) async fn cat(arguments: CatArgs, client: &Client) -> Result<Answer, Ending> {
    let failed = |source| arguments.image.failed(source);
    let reader = arguments.image.open(client).await.map_err(failed)?;
    // Looked up before anything is printed: a closed stdout does not hide that a file is missing.
    let (mut files, mut ending) = (Vec::new(), Ending::Done);
    for path in &arguments.paths {
        match reader.file(path.as_encoded_bytes()) {
            Ok(file) => files.push(file),
            Err(error) => {
                ending = failed(error);
                break;
            }
        }
    }
    let mut out = tokio::io::stdout();
    for mut file in files {
        while let Some(piece) = file.next().await.map_err(failed)? {
            if let Err(error) = out.write_all(&piece).await {
                return Ok(ending.after_printing(Err(error)).into());
            }
        }
    }
    let printed = out.flush().await;
    Ok(ending.after_printing(printed).into())
}

impl OnImage {
    async fn open(&self, client: &Client) -> Result<Reader, reader::Error> {
        let store = Store::open(&self.image, client, Limits::default())?;
        Reader::open(store, &self.image, self.platform.as_ref()).await
    }

    fn failed(&self, source: reader::Error) -> Ending {
        let image = self.image.to_string();
        Ending::Failed(Failed { image, source }.into())
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
            version: match index.version {
                Version::V1 => "v1",
                Version::V2 => "v2",
            },
            digest: index.descriptor.digest,
        }),
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
    }
}

fn text(out: &mut impl io::Write, listing: &Listing) -> io::Result<()> {
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
