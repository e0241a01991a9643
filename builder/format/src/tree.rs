//! The file system that an image's layers make, one over the other, as a runtime unpacks them: whiteouts take away what lies
//! below, links lead on, and nothing leaves the root.
//! In: tables of contents, bottom layer first. Out: inodes by path. Pure.

mod error;
mod inode;

use std::{collections::BTreeMap, sync::Arc};

pub use error::{NotFound, Unpackable};
pub use inode::Inode;
use inode::kind_of;

use crate::{
    limits::Limits,
    tar::Kind,
    ztoc::{FileMetadata, Toc},
};

/// What hides a name of the layers below.
const WHITEOUT: &[u8] = b".wh.";
/// What hides all of them in its directory.
const OPAQUE: &[u8] = b".wh..wh..opq";

/// The longest path that Linux takes (`PATH_MAX`).
const PATH_MAX: usize = 4096;
/// Symbolic links that Linux follows in one path (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// A place in a tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeId(usize);

struct Node {
    inode: Arc<Inode>,
    children: BTreeMap<Vec<u8>, usize>,
    /// The highest layer that has something here or below; whiteouts are nothing.
    touched_by: Option<usize>,
    /// The layer that took away what lower layers have below, or in which this is new.
    cleared_by: Option<usize>,
}

/// The merged file system. Nodes lie in one list, so that no depth of directories can exhaust a stack.
pub struct Tree {
    nodes: Vec<Node>,
    /// Layers that were left out, bottom first.
    gaps: Vec<usize>,
    /// Bytes that names and their paths may still take.
    room: u64,
}

/// The way that a path takes.
struct Trail {
    /// From the root to where it leads.
    nodes: Vec<usize>,
    /// The lowest layer that has a symbolic link on the way.
    lowest_link: Option<usize>,
}

const ROOT: usize = 0;

/// Why a walk ended before its last name.
enum Stop {
    /// This directory does not have that name.
    Missing(usize, Vec<u8>),
    /// This node cannot have that name.
    NotADirectory(usize, Vec<u8>),
    Links,
}

impl Default for Tree {
    fn default() -> Self {
        Self {
            nodes: vec![Node {
                inode: Arc::new(Inode::implicit_directory(0)),
                children: BTreeMap::new(),
                touched_by: None,
                cleared_by: None,
            }],
            gaps: Vec::new(),
            room: Limits::default().tree_bytes,
        }
    }
}

impl Tree {
    /// An empty file system that may grow to `bytes`.
    #[must_use]
    pub fn within(bytes: u64) -> Self {
        Self {
            room: bytes,
            ..Self::default()
        }
    }

    /// Leaves layer number `layer` out, whose files are not known. From here on a name that leads nowhere may lead into it, and is
    /// no reason to call a layer unpackable.
    pub fn leave_out(&mut self, layer: usize) {
        self.gaps.push(layer);
    }

    /// The layers that were left out, bottom first.
    pub fn gaps(&self) -> &[usize] {
        &self.gaps
    }

    /// The layer that was left out, and that may have hidden or replaced what `path` leads to: one above the file, or above a
    /// symbolic link on the way to it.
    pub fn doubt(&self, path: &[u8]) -> Option<usize> {
        let names: Vec<_> = names(path).collect();
        let trail = self.trail(&names, true).ok()?;
        let last = &self.nodes[trail.last()].inode;
        let lowest = trail
            .lowest_link
            .map_or(last.layer, |link| link.min(last.layer));
        self.gaps.iter().copied().find(|&gap| gap > lowest)
    }

    /// Whether a layer that was left out may have replaced what is at a node.
    fn is_doubtful(&self, node: usize) -> bool {
        let last = self.gaps.last();
        last.is_some_and(|&gap| gap > self.nodes[node].inode.layer)
    }

    /// Puts layer number `layer` over those applied so far, entry by entry, as runtimes do: a link or a whiteout meets what the
    /// entries before it left.
    ///
    /// # Errors
    /// Where a runtime could not unpack it. The tree cannot be used then.
    pub fn apply(&mut self, layer: usize, toc: &Toc) -> Result<(), Unpackable> {
        for file in toc.iter() {
            let before = self.nodes.len();
            match self.add(layer, &file) {
                Err(Unpackable::HardLink { .. } | Unpackable::Path { .. })
                    if !self.gaps.is_empty() => {}
                added => added?,
            }
            // A long path may make a directory of each of its letters.
            let made = (self.nodes.len() - before) as u64;
            let taken = made * (Limits::NODE_BYTES + file.name.len() as u64);
            let room = self.room.checked_sub(taken);
            self.room = room.ok_or(Unpackable::TooLarge)?;
        }
        Ok(())
    }

    fn add(&mut self, layer: usize, file: &FileMetadata<'_>) -> Result<(), Unpackable> {
        let (path, kind) = (clean(file.name)?, kind_of(file)?);
        let Some((base, parent)) = path.split_last() else {
            if kind != Kind::Directory {
                return Err(Unpackable::Root(kind));
            }
            self.nodes[ROOT].inode = Arc::new(Inode::of(layer, kind, file)?);
            return Ok(());
        };
        // A whiteout, too, makes the directory that it stands in.
        let trail = match self.directory(layer, parent) {
            // Nothing is below it that could be hidden.
            Err(Stop::NotADirectory(..)) if *base == OPAQUE => return Ok(()),
            found => found.map_err(|stop| Unpackable::Path {
                path: shown(file.name),
                source: stop.into(),
            })?,
        };
        let directory = trail.last();
        if base.starts_with(WHITEOUT) {
            return self.hide(layer, directory, base, file);
        }
        for node in trail.nodes {
            self.nodes[node].touched_by = Some(layer);
        }
        let there = self.nodes[directory].children.get(*base).copied();
        if let Some(there) = there
            && kind == Kind::Directory
            && self.is_directory(there)
        {
            self.nodes[there].inode = Arc::new(Inode::of(layer, kind, file)?);
            self.nodes[there].touched_by = Some(layer);
            return Ok(());
        }
        // What is there goes first: a hard link to itself, or to something below itself, leads nowhere.
        self.nodes[directory].children.remove(*base);
        let inode = match kind {
            Kind::HardLink => self.link_target(file)?,
            kind => Arc::new(Inode::of(layer, kind, file)?),
        };
        let node = self.push(layer, inode);
        self.nodes[node].touched_by = Some(layer);
        self.nodes[directory].children.insert(base.to_vec(), node);
        Ok(())
    }

    /// Does what the whiteout `base` in `directory` says. It hides only what layers below have, and what its own layer has
    /// stays, also where it stands before it: so says the specification of images, so do umoci and the SOCI snapshotter.
    fn hide(
        &mut self,
        layer: usize,
        directory: usize,
        base: &[u8],
        file: &FileMetadata<'_>,
    ) -> Result<(), Unpackable> {
        if base == OPAQUE {
            self.hide_below(layer, directory);
            return Ok(());
        }
        let hidden = &base[WHITEOUT.len()..];
        if matches!(hidden, b"" | b"." | b"..") {
            return Err(Unpackable::Whiteout(shown(file.name)));
        }
        if let Some(&there) = self.nodes[directory].children.get(hidden) {
            if self.nodes[there].touched_by == Some(layer) {
                self.hide_below(layer, there);
            } else {
                self.nodes[directory].children.remove(hidden);
            }
        }
        Ok(())
    }

    /// Takes away what is below a node and not of `layer`.
    fn hide_below(&mut self, layer: usize, node: usize) {
        let mut left = vec![node];
        while let Some(node) = left.pop() {
            // Each node is cleared once in a layer, however many whiteouts say so.
            if self.nodes[node].cleared_by.replace(layer) == Some(layer) {
                continue;
            }
            let mut children = std::mem::take(&mut self.nodes[node].children);
            children.retain(|_, child| self.nodes[*child].touched_by == Some(layer));
            left.extend(children.values());
            self.nodes[node].children = children;
        }
    }

    /// What a hard link names: a path from the root, whose last name is not followed.
    fn link_target(&self, file: &FileMetadata<'_>) -> Result<Arc<Inode>, Unpackable> {
        let target = clean(file.link_name)?;
        let found = self.walk(&target, false).ok();
        found
            .map(|node| &self.nodes[node].inode)
            .filter(|inode| inode.kind != Kind::Directory)
            .map(Arc::clone)
            .ok_or_else(|| Unpackable::HardLink {
                path: shown(file.name),
                target: shown(file.link_name),
            })
    }

    /// The nodes down to the directory at `path`, made where they are missing.
    fn directory(&mut self, layer: usize, path: &[&[u8]]) -> Result<Trail, Stop> {
        loop {
            let found = self.trail(path, true).and_then(|trail| {
                let last = path.last().copied().unwrap_or_default();
                match self.is_directory(trail.last()) {
                    true => Ok(trail),
                    false => Err(Stop::NotADirectory(trail.last(), last.to_vec())),
                }
            });
            match found {
                // A layer that was left out must have made a directory of it.
                Err(Stop::NotADirectory(node, _)) if self.is_doubtful(node) => {
                    self.nodes[node].inode = Arc::new(Inode::implicit_directory(layer));
                }
                Err(Stop::Missing(parent, name)) => {
                    let inode = Arc::new(Inode::implicit_directory(layer));
                    let made = self.push(layer, inode);
                    self.nodes[parent].children.insert(name, made);
                }
                found => return found,
            }
        }
    }

    fn push(&mut self, layer: usize, inode: Arc<Inode>) -> usize {
        self.nodes.push(Node {
            inode,
            children: BTreeMap::new(),
            touched_by: None,
            cleared_by: Some(layer),
        });
        self.nodes.len() - 1
    }

    fn is_directory(&self, node: usize) -> bool {
        self.nodes[node].inode.kind == Kind::Directory
    }

    /// Follows `path` from the root; its last name, where it is a symbolic link, only if `follow`.
    fn walk(&self, path: &[&[u8]], follow: bool) -> Result<usize, Stop> {
        Ok(self.trail(path, follow)?.last())
    }

    /// As [`walk`](Self::walk), with all that it comes by.
    fn trail(&self, path: &[&[u8]], follow: bool) -> Result<Trail, Stop> {
        let mut left: Vec<Vec<u8>> = path.iter().rev().map(|name| name.to_vec()).collect();
        let mut trail = vec![ROOT];
        let (mut links, mut lowest_link) = (0, None::<usize>);
        while let Some(name) = left.pop() {
            let here = *trail.last().unwrap_or(&ROOT);
            if name == b".." {
                trail.truncate(trail.len().saturating_sub(1).max(1));
                continue;
            }
            if !self.is_directory(here) {
                return Err(Stop::NotADirectory(here, name));
            }
            let Some(&next) = self.nodes[here].children.get(&name) else {
                return Err(Stop::Missing(here, name));
            };
            let inode = &self.nodes[next].inode;
            if inode.kind != Kind::Symlink || (left.is_empty() && !follow) {
                trail.push(next);
                continue;
            }
            links += 1;
            lowest_link = Some(lowest_link.map_or(inode.layer, |lowest| lowest.min(inode.layer)));
            if links > LINKS_MAX {
                return Err(Stop::Links);
            }
            if inode.link_name.starts_with(b"/") {
                trail.truncate(1);
            }
            let names = inode.link_name.split(|&byte| byte == b'/').rev();
            let names = names.filter(|name| !name.is_empty() && *name != b".");
            left.extend(names.map(<[u8]>::to_vec));
        }
        Ok(Trail {
            nodes: trail,
            lowest_link,
        })
    }

    /// The node at `path`; its last name, where it is a symbolic link, is followed if `follow`.
    ///
    /// # Errors
    /// Where the path leads nowhere.
    pub fn find(&self, path: &[u8], follow: bool) -> Result<NodeId, NotFound> {
        let names: Vec<_> = names(path).collect();
        self.walk(&names, follow)
            .map(NodeId)
            .map_err(NotFound::from)
    }

    /// What is at a node.
    pub fn inode(&self, node: NodeId) -> &Inode {
        &self.nodes[node.0].inode
    }

    /// Whether both nodes are names of one inode.
    pub fn are_same(&self, one: NodeId, other: NodeId) -> bool {
        Arc::ptr_eq(&self.nodes[one.0].inode, &self.nodes[other.0].inode)
    }

    /// What is in a directory, in the order of the names.
    pub fn children(&self, node: NodeId) -> impl Iterator<Item = (&[u8], NodeId)> {
        let children = self.nodes[node.0].children.iter();
        children.map(|(name, &node)| (&name[..], NodeId(node)))
    }

    /// Everything below a directory, with its path from there, parents first.
    pub fn all(&self, node: NodeId) -> Vec<(Vec<u8>, NodeId)> {
        let (mut found, mut left) = (Vec::new(), vec![(Vec::new(), node)]);
        while let Some((path, node)) = left.pop() {
            let children: Vec<_> = self
                .children(node)
                .map(|(name, child)| {
                    let mut path: Vec<u8> = path.clone();
                    if !path.is_empty() {
                        path.push(b'/');
                    }
                    path.extend(name);
                    (path, child)
                })
                .collect();
            left.extend(children.into_iter().rev());
            if !path.is_empty() {
                found.push((path, node));
            }
        }
        found
    }
}

impl Trail {
    fn last(&self) -> usize {
        self.nodes.last().copied().unwrap_or(ROOT)
    }
}

impl From<Stop> for NotFound {
    fn from(stop: Stop) -> Self {
        match stop {
            Stop::Missing(_, name) => Self::Missing(shown(&name)),
            Stop::NotADirectory(_, name) => Self::NotADirectory(shown(&name)),
            Stop::Links => Self::Links,
        }
    }
}

/// The names in a path, without those that lead nowhere.
fn names(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/')
        .filter(|name| !name.is_empty() && *name != b".")
}

/// The names of a path in an archive; `..` takes the name before it back and never leaves the root.
fn clean(path: &[u8]) -> Result<Vec<&[u8]>, Unpackable> {
    if path.len() > PATH_MAX {
        return Err(Unpackable::PathLength(path.len()));
    }
    let mut clean = Vec::new();
    for name in names(path) {
        if name == b".." {
            clean.pop();
        } else {
            clean.push(name);
        }
    }
    Ok(clean)
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

#[cfg(test)]
mod tests;
