//! What people write who know other tools, and what to write here instead.

use std::path::Path;

use super::{Refusal, RegistryImage, is_like_a_host};
use crate::shell::copy_to_oci;

/// Names that skopeo gives to places where images are, and that are neither registries nor layouts.
const SKOPEO: [&str; 7] = [
    "docker-archive",
    "docker-daemon",
    "containers-storage",
    "dir",
    "sif",
    "ostree",
    "tarball",
];

/// What other tools call an OCI layout in a directory.
const LAYOUT: [&str; 3] = ["oci-layout", "ocidir", "oci-dir"];

/// Endings of tar archives.
const TAR: [&str; 7] = [
    ".tar", ".tgz", ".tar.gz", ".tar.zst", ".tar.xz", ".tar.bz2", ".oci",
];

/// What to say of `text`, which is no reference, where there is more to say than why.
pub(super) fn of(text: &str, exists: &dyn Fn(&Path) -> bool) -> Option<Refusal> {
    if text == "-" {
        return Some(Refusal::with(
            "it does not say what is on standard input",
            "write oci-archive:- for a tar archive",
        ));
    }
    let scheme = text.split_once(':').and_then(|(scheme, rest)| {
        of_scheme(scheme.to_ascii_lowercase().as_str(), scheme, rest, exists)
    });
    // What is wrong with a layout's own reference is known already.
    let is_layout = text.starts_with("oci:") || text.starts_with("oci-archive:");
    if scheme.is_some() || is_layout {
        return scheme;
    }
    of_path(text, exists).or_else(|| of_registry(text))
}

fn of_scheme(
    scheme: &str,
    written: &str,
    rest: &str,
    exists: &dyn Fn(&Path) -> bool,
) -> Option<Refusal> {
    let url = rest.strip_prefix("//");
    let rest = url.unwrap_or(rest);
    match scheme {
        "oci" | "oci-archive" if written != scheme => Some(Refusal::with(
            format!("{scheme} is written in lower-case letters"),
            format!("write {scheme}:{rest}"),
        )),
        "oci" | "oci-archive" if url.is_some() => {
            let registry = registry_name(rest).map_or(String::new(), |name| {
                format!(", and {name} for an image in a registry")
            });
            Some(Refusal::with(
                format!("there is no //{rest}"),
                format!("write {scheme}:{rest} for a path here{registry}"),
            ))
        }
        "oci" | "oci-archive" => None,
        "http" | "https" | "docker" | "docker-image" | "registry" => {
            let name = registry_name(url?)?;
            let plain = if scheme == "http" {
                " with --plain-http"
            } else {
                ""
            };
            Some(Refusal::with(
                format!("images in a registry are named without {scheme}://"),
                format!("write {name}{plain}"),
            ))
        }
        "file" => of_path(rest, &|_| true).filter(|_| !exists(Path::new(written))),
        _ if LAYOUT.contains(&scheme) => Some(Refusal::with(
            "an OCI layout in a directory is oci:DIR here",
            format!("write oci:{rest}"),
        )),
        _ if SKOPEO.contains(&scheme) => {
            let path = rest.split(':').next();
            let archive = path.filter(|_| scheme == "docker-archive");
            Some(Refusal::with(
                format!("{scheme}: is no registry and no OCI layout"),
                copy_to_oci(&format!("{scheme}:{rest}"), archive, "latest"),
            ))
        }
        _ => None,
    }
}

/// Where `text` is a path, and does not say of what.
fn of_path(text: &str, exists: &dyn Fn(&Path) -> bool) -> Option<Refusal> {
    let starts = ["/", "./", "../", "~/", ".\\", "..\\"];
    let is_drive =
        matches!(text.as_bytes(), [letter, b':', b'/' | b'\\', ..] if letter.is_ascii_alphabetic());
    let before_colons = text
        .match_indices(':')
        .map(|(at, _)| &text[..at])
        .chain([text]);
    let looks_so = starts.iter().any(|start| text.starts_with(start))
        || is_drive
        || before_colons
            .clone()
            .any(|path| TAR.iter().any(|end| path.ends_with(end)))
        || before_colons
            .clone()
            .any(|path| !path.is_empty() && exists(Path::new(path)));
    looks_so.then(|| {
        Refusal::with(
            "it does not say whether the path is of a directory or an archive",
            format!("write oci:{text} for a directory, oci-archive:{text} for a tar archive"),
        )
    })
}

/// Where only host or tag are missing.
fn of_registry(text: &str) -> Option<Refusal> {
    let refusal = RegistryImage::parse(text).err()?;
    let name = registry_name(text).or_else(|| registry_name(&text.to_lowercase()))?;
    let host = text.split_once('/').map_or("", |(host, _)| host);
    Some(Refusal::with(
        refusal.why,
        if is_like_a_host(host) {
            format!("write {name}")
        } else {
            format!("write {name} for the one in Docker Hub")
        },
    ))
}

/// The image that `text`, which may leave out host and tag, means to docker.
fn registry_name(text: &str) -> Option<String> {
    let text = text.trim_end_matches(['/', ':']);
    let (first, rest) = text.split_once('/').unwrap_or(("", text));
    // A user name or a password is no part of a name.
    let first = first.rsplit('@').next().unwrap_or_default();
    let mut name = match (first, is_like_a_host(first)) {
        ("", _) => format!("docker.io/library/{rest}"),
        (host, true) => format!("{host}/{rest}"),
        (user, false) => format!("docker.io/{user}/{rest}"),
    };
    if !rest.contains([':', '@']) {
        name += ":latest";
    }
    RegistryImage::parse(&name).is_ok().then_some(name)
}

#[cfg(test)]
mod tests {
    use super::super::Reference;

    #[test]
    fn other_tools_words_are_answered_with_what_to_write() {
        for (text, instead) in [
            ("-", "oci-archive:- "),
            (
                "docker://localhost:5000/a/b:c",
                "write localhost:5000/a/b:c",
            ),
            ("docker://nginx", "write docker.io/library/nginx:latest"),
            (
                "https://user:word@r.example/a/b:c/",
                "write r.example/a/b:c",
            ),
            (
                "http://r.example/a:c",
                "write r.example/a:c with --plain-http",
            ),
            ("registry://r.example/a", "write r.example/a:latest"),
            ("nginx:latest", "write docker.io/library/nginx:latest"),
            ("library/nginx", "write docker.io/library/nginx:latest"),
            ("ghcr.io/a/b", "write ghcr.io/a/b:latest"),
            ("ghcr.io/a/b:", "write ghcr.io/a/b:latest"),
            ("GHCR.io/A/b:1", "write ghcr.io/a/b:1"),
            ("oci-layout:///x/y:1", "write oci:/x/y:1"),
            ("ocidir://x:1", "write oci:x:1"),
            ("OCI:x:1", "write oci:x:1"),
            (
                "oci://ghcr.io/a/b:1",
                "ghcr.io/a/b:1 for an image in a registry",
            ),
            ("file:///x.tar", "oci-archive:/x.tar for a tar archive"),
            ("./image.tar", "oci-archive:./image.tar"),
            ("image.tar.gz:v1", "oci-archive:image.tar.gz:v1"),
            ("/x/y", "oci:/x/y for a directory"),
            ("C:\\x", "oci:C:\\x for a directory"),
            (
                "docker-archive:/x/save.tar:app:1",
                "skopeo copy docker-archive:/x/save.tar:app:1 oci-archive:/x/save-oci.tar:latest",
            ),
            (
                "docker-daemon:app:1",
                "skopeo copy docker-daemon:app:1 oci-archive:image-oci.tar:latest",
            ),
            (
                "dir:/x y",
                "skopeo copy 'dir:/x y' oci-archive:image-oci.tar:latest",
            ),
            (
                "containers-storage:localhost/app:1",
                "skopeo copy containers-storage:",
            ),
            ("user:word@r.example/a:1", "is not a host"),
            ("r.example:port/a:1", "is not a host"),
            ("", "write host/repo:tag"),
            ("a b", "write host/repo:tag"),
        ] {
            let error = text.parse::<Reference>().unwrap_err().to_string();
            assert!(error.contains(instead), "{text}: {error}");
        }
    }

    #[test]
    fn what_exists_here_is_no_image_of_docker_hub() {
        let error = Reference::parse("app:1", &|path| path.as_os_str() == "app").unwrap_err();
        assert!(error.to_string().contains("write oci:app:1"), "{error}");
    }
}
