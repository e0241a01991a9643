//! `oci:DIR[:NAME][@DIGEST]` and `oci-archive:FILE[:NAME][@DIGEST]`: an image in an OCI layout.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use super::{Refusal, parse_digest};
use crate::digest::Digest;

/// What begins a digest behind a path or a name.
const DIGEST: &str = "@sha256:";

/// An image in an OCI layout.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LayoutImage {
    /// Where the layout is.
    pub place: Place,
    /// The image's name in `index.json`; may be left out where the layout has one image.
    pub name: Option<String>,
    /// Its digest, where one was given; beside a name it must be that of the name's image.
    pub digest: Option<Digest>,
}

/// Where a layout is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A directory.
    Directory(PathBuf),
    /// A tar archive.
    Archive(PathBuf),
    /// A tar archive on standard input.
    Stdin,
}

impl LayoutImage {
    /// `None` where `text` is not meant for a layout.
    pub(super) fn parse(
        text: &str,
        exists: &dyn Fn(&Path) -> bool,
    ) -> Option<Result<Self, Refusal>> {
        let (is_archive, rest) = match text.strip_prefix("oci-archive:") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("oci:")?),
        };
        let is_stdin = is_archive
            && rest
                .strip_prefix('-')
                .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '@']));
        let end = if is_stdin {
            1
        } else {
            end_of_path(rest, exists)
        };
        let (path, rest) = rest.split_at(end);
        let place = match (is_stdin, is_archive) {
            (true, _) => Place::Stdin,
            (_, true) => Place::Archive(path.into()),
            (_, false) => Place::Directory(path.into()),
        };
        if path.is_empty() {
            return Some(Err(Refusal::new(if is_archive {
                "the file is missing"
            } else {
                "the directory is missing"
            })));
        }
        // Nobody means a path that begins like this, unless it exists: it is how others begin the name of a host.
        if path.starts_with("//") && !path.starts_with("///") && !exists(Path::new(path)) {
            return Some(Err(Refusal::new(format!("there is no {path}"))));
        }
        Some(name_and_digest(rest).map(|(name, digest)| Self {
            place,
            name,
            digest,
        }))
    }
}

/// Where the path ends that `text` begins with. A name begins with neither a slash nor a backslash: `C:\layout` is a path.
fn end_of_path(text: &str, exists: &dyn Fn(&Path) -> bool) -> usize {
    let ends = || {
        let marks = text
            .char_indices()
            .filter(|(_, mark)| [':', '@'].contains(mark));
        marks
            .map(|(at, _)| at)
            .filter(|at| !text[at + 1..].starts_with(['/', '\\']))
    };
    if let Some(end) = [text.len()]
        .into_iter()
        .chain(ends().collect::<Vec<_>>().into_iter().rev())
        .find(|&end| exists(Path::new(&text[..end])))
    {
        return end;
    }
    ends()
        .find(|&at| text[at..].starts_with(':') || text[at..].starts_with(DIGEST))
        .unwrap_or(text.len())
}

/// What follows the path: `[:NAME][@DIGEST]`.
fn name_and_digest(text: &str) -> Result<(Option<String>, Option<Digest>), Refusal> {
    if let Some(digest) = text.strip_prefix('@') {
        return Ok((None, Some(parse_digest(digest)?)));
    }
    let name = text.strip_prefix(':').unwrap_or_default();
    let (name, digest) = match name.rfind(DIGEST) {
        None => (name, None),
        Some(at) => (&name[..at], Some(parse_digest(&name[at + 1..])?)),
    };
    Ok(((!name.is_empty()).then(|| name.to_owned()), digest))
}

impl fmt::Display for LayoutImage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.place.fmt(f)?;
        if let Some(name) = &self.name {
            write!(f, ":{name}")?;
        }
        self.digest.map_or(Ok(()), |digest| write!(f, "@{digest}"))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => write!(f, "oci:{}", path.display()),
            Self::Archive(path) => write!(f, "oci-archive:{}", path.display()),
            Self::Stdin => f.write_str("oci-archive:-"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DIGEST: &str = "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    /// Path, name and digest of `text`, where only `there` exists.
    fn parts(text: &str, there: &[&str]) -> (String, Option<String>, bool) {
        let exists = |path: &Path| there.iter().any(|known| path.as_os_str() == *known);
        let image = LayoutImage::parse(text, &exists).unwrap().unwrap();
        let path = match image.place {
            Place::Directory(path) | Place::Archive(path) => path,
            Place::Stdin => "(stdin)".into(),
        };
        let path = path.to_str().unwrap().to_owned();
        (path, image.name, image.digest.is_some())
    }

    #[test]
    fn the_path_that_exists_ends_where_the_name_begins() {
        let at_digest = format!("oci:a@b@{DIGEST}");
        let with_both = format!("oci-archive:a.tar:r.example/app:v1@{DIGEST}");
        for (text, there, path, name, has_digest) in [
            ("oci:a", &["a"][..], "a", None, false),
            ("oci:a:v1", &["a"], "a", Some("v1"), false),
            ("oci:a:b/c", &["a:b/c"], "a:b/c", None, false),
            ("oci:a:b/c", &["a"], "a", Some("b/c"), false),
            ("oci:a:b/c:v1", &["a:b/c"], "a:b/c", Some("v1"), false),
            ("oci:a:b", &["a", "a:b"], "a:b", None, false),
            (
                "oci:a:r.example:5000/app:v1",
                &["a"],
                "a",
                Some("r.example:5000/app:v1"),
                false,
            ),
            ("oci:a:", &["a"], "a", None, false),
            ("oci:a:", &["a", "a:"], "a:", None, false),
            (&at_digest, &["a@b"], "a@b", None, true),
            (
                &with_both,
                &["a.tar"],
                "a.tar",
                Some("r.example/app:v1"),
                true,
            ),
            ("oci:C:\\a:v1", &["C:\\a"], "C:\\a", Some("v1"), false),
            ("oci-archive:-:v1", &[], "(stdin)", Some("v1"), false),
            ("oci-archive:-", &["-"], "(stdin)", None, false),
            ("oci-archive:./-", &["./-"], "./-", None, false),
            ("oci-archive:-a.tar", &[], "-a.tar", None, false),
            ("oci:-", &[], "-", None, false),
        ] {
            let expected = (path.to_owned(), name.map(str::to_owned), has_digest);
            assert_eq!(parts(text, there), expected, "{text} {there:?}");
        }
    }

    #[test]
    fn where_nothing_exists_the_path_ends_at_the_first_colon() {
        let digest = format!("oci:a@{DIGEST}");
        for (text, path, name, has_digest) in [
            (
                "oci:a:localhost/app:v1",
                "a",
                Some("localhost/app:v1"),
                false,
            ),
            ("oci:/a@b/c:v1", "/a@b/c", Some("v1"), false),
            (&digest, "a", None, true),
            ("oci:C:\\a:v1", "C:\\a", Some("v1"), false),
            ("oci:///a:v1", "///a", Some("v1"), false),
        ] {
            let expected = (path.to_owned(), name.map(str::to_owned), has_digest);
            assert_eq!(parts(text, &[]), expected, "{text}");
        }
    }

    #[test]
    fn what_follows_the_path_must_be_a_name_or_a_digest() {
        let exists = |path: &Path| path.as_os_str() == "a";
        for text in [
            "oci:a@v1",
            "oci:a@",
            "oci:a@sha256:12",
            "oci:a:v1@sha256:12",
        ] {
            let refusal = LayoutImage::parse(text, &exists).unwrap().unwrap_err();
            assert!(refusal.why.contains("digest"), "{text}: {refusal:?}");
        }
    }
}
