//! Which entry of an image index a client takes for a platform. In: the entries. Out: where that is none of the images, what it is.
//! Pure. Clients choose by platform and order only: an entry's media type and artifact type mean nothing to them.

use std::cmp::Reverse;

use crate::{
    digest::Digest,
    oci::{Descriptor, Platform},
};

/// An entry of an image index, and what it is.
pub struct Candidate<'a> {
    /// As clients see it.
    pub descriptor: &'a Descriptor,
    /// What it is.
    pub kind: Kind<'a>,
}

/// What an entry of an image index is.
#[derive(Clone, Copy, Debug)]
pub enum Kind<'a> {
    /// The image of a platform.
    Image(&'a Platform),
    /// Something that is not in the store; it is taken to be what its platform says.
    Missing,
    /// A SOCI index.
    SociIndex,
    /// Anything else.
    Other,
}

/// An entry that clients take for the image.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{client} would pull {what} ({taken}) instead of the image for {platform} ({image}): its entry in the image index comes first"
)]
pub struct ShadowedImage {
    client: &'static str,
    what: &'static str,
    taken: Digest,
    platform: String,
    image: Digest,
}

/// For each image of a platform for which `is_asked` says yes: what a client takes for it, where that is no image.
pub fn shadowed<'a>(
    entries: &[Candidate<'a>],
    is_asked: impl Fn(&Platform) -> bool,
) -> Vec<ShadowedImage> {
    let images = entries.iter().filter_map(|entry| match entry.kind {
        Kind::Image(platform) if is_asked(platform) => Some((entry, platform)),
        _ => None,
    });
    let looked_at = images.filter_map(|(image, platform)| {
        let clients = [
            ("containerd", by_containerd as Choose),
            ("skopeo", by_containers_image),
        ];
        clients.into_iter().find_map(|(client, choose)| {
            let taken = choose(entries, platform)?;
            let what = match taken.kind {
                Kind::Image(_) | Kind::Missing => return None,
                Kind::SociIndex => "a SOCI index",
                Kind::Other => "an artifact",
            };
            Some(ShadowedImage {
                client,
                what,
                taken: taken.descriptor.digest,
                platform: platform.to_string(),
                image: image.descriptor.digest,
            })
        })
    });
    looked_at.collect()
}

type Choose = for<'e, 'a> fn(&'e [Candidate<'a>], &Platform) -> Option<&'e Candidate<'a>>;

/// As containerd's `images.Manifest`, and docker: entries of the platform in any spelling, then those without a platform; of several
/// the first, on Windows the one with the highest revision. What else runs on the machine (`arm/v6` on `arm64`) comes behind these.
fn by_containerd<'e, 'a>(
    entries: &'e [Candidate<'a>],
    wanted: &Platform,
) -> Option<&'e Candidate<'a>> {
    let fitting = entries.iter().filter_map(|entry| {
        let rank = match &entry.descriptor.platform {
            Some(of) if runs_on(of, wanted) => (false, Reverse(revision(of))),
            Some(_) => return None,
            None => (true, Reverse(0)),
        };
        Some((rank, entry))
    });
    fitting
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
}

fn runs_on(of: &Platform, wanted: &Platform) -> bool {
    let versionless = |platform: &Platform| Platform {
        os_version: String::new(),
        ..platform.clone()
    };
    versionless(of).same_as(&versionless(wanted))
        && (wanted.normalized().os != "windows"
            || of.os_version.is_empty()
            || wanted.os_version.is_empty()
            || build(of) == build(wanted))
}

/// `10.0.20348` of `10.0.20348.2340`: Windows containers run on hosts of the same build.
fn build(platform: &Platform) -> Vec<&str> {
    platform.os_version.split('.').take(3).collect()
}

fn revision(platform: &Platform) -> u64 {
    let last = platform.os_version.split('.').nth(3);
    last.and_then(|last| last.parse().ok()).unwrap_or(0)
}

/// As containers/image's `ChooseInstance`, which skopeo, podman and buildah use: spellings count, and the machine's own variant comes
/// before others. What it takes only because it has no platform says nothing of our entries, which all have one.
fn by_containers_image<'e, 'a>(
    entries: &'e [Candidate<'a>],
    wanted: &Platform,
) -> Option<&'e Candidate<'a>> {
    let wanted = wanted.normalized();
    let known: &[&str] = match &*wanted.architecture {
        "arm64" => &["v8"],
        "arm" => &["v8", "v7", "v6", "v5"],
        _ => &[],
    };
    let own = match (&*wanted.architecture, &*wanted.variant) {
        ("arm64", "") => "v8",
        (_, variant) => variant,
    };
    let from = known.iter().position(|variant| *variant == own);
    let variants: Vec<&str> = match from {
        Some(from) => known[from..].iter().copied().chain([""]).collect(),
        None => vec![own, ""],
    };
    let fitting = entries.iter().filter_map(|entry| {
        let of = entry.descriptor.platform.as_ref()?;
        let is_same = of.os == wanted.os && of.architecture == wanted.architecture;
        let rank = variants.iter().position(|variant| *variant == of.variant)?;
        is_same.then_some((rank, entry))
    });
    fitting
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is wrong with an index of these entries: what each is (`image`, `soci`, `other`, `gone`), and its platform.
    fn wrong(entries: &[(&str, &str)]) -> Option<&'static str> {
        let descriptors: Vec<_> = (0u8..)
            .zip(entries)
            .map(|(number, (_, platform))| Descriptor {
                platform: platform.parse().ok(),
                ..Descriptor::of("", &[number])
            })
            .collect();
        // Of an image without a platform the config says it.
        let own: Platform = "linux/amd64".parse().unwrap();
        let candidates: Vec<_> = descriptors
            .iter()
            .zip(entries)
            .map(|(descriptor, (kind, _))| Candidate {
                descriptor,
                kind: match *kind {
                    "image" => Kind::Image(descriptor.platform.as_ref().unwrap_or(&own)),
                    "soci" => Kind::SociIndex,
                    "gone" => Kind::Missing,
                    _ => Kind::Other,
                },
            })
            .collect();
        let found = shadowed(&candidates, |_| true);
        found.first().map(|shadowed| shadowed.what)
    }

    #[test]
    fn an_entry_with_a_platform_comes_before_one_without() {
        let soci = ("soci", "linux/amd64");
        assert_eq!(wrong(&[("image", "-"), soci]), Some("a SOCI index"));
        assert_eq!(wrong(&[("image", "linux/amd64"), soci]), None);
        assert_eq!(
            wrong(&[("other", "-"), ("image", "linux/amd64"), soci]),
            None
        );
        assert_eq!(
            wrong(&[("other", "-"), ("image", "-")]),
            Some("an artifact")
        );
        assert_eq!(wrong(&[("image", "-"), ("other", "-")]), None);
    }

    #[test]
    fn of_several_with_the_platform_the_first_counts() {
        let image = ("image", "linux/amd64");
        assert_eq!(
            wrong(&[("soci", "linux/amd64"), image]),
            Some("a SOCI index")
        );
        assert_eq!(
            wrong(&[("other", "linux/amd64"), image]),
            Some("an artifact")
        );
        assert_eq!(wrong(&[("gone", "linux/amd64"), image]), None);
        assert_eq!(wrong(&[image, image, ("soci", "linux/amd64")]), None);
        assert_eq!(wrong(&[("other", "unknown/unknown"), image]), None);
    }

    #[test]
    fn spellings_of_one_platform_are_one_for_containerd_and_not_for_skopeo() {
        let image = ("image", "linux/arm64");
        assert_eq!(
            wrong(&[("soci", "linux/arm64/v8"), image]),
            Some("a SOCI index")
        );
        assert_eq!(
            wrong(&[image, ("soci", "linux/arm64/v8")]),
            Some("a SOCI index")
        );
        assert_eq!(
            wrong(&[("image", "linux/arm64/v8"), ("soci", "linux/arm64")]),
            None
        );
    }

    #[test]
    fn variants_are_platforms_of_their_own() {
        assert_eq!(
            wrong(&[
                ("image", "linux/arm/v6"),
                ("soci", "linux/arm/v6"),
                ("image", "linux/arm/v7"),
                ("soci", "linux/arm/v7"),
                ("image", "linux/amd64/v3"),
                ("image", "linux/amd64"),
            ]),
            None
        );
        assert_eq!(
            wrong(&[("soci", "linux/arm/v7"), ("image", "linux/arm/v7")]),
            Some("a SOCI index")
        );
    }

    #[test]
    fn windows_hosts_take_the_highest_revision_of_their_build() {
        let old = "windows(10.0.20348.1)/amd64";
        let new = "windows(10.0.20348.9)/amd64";
        assert_eq!(
            wrong(&[("image", old), ("soci", new)]),
            Some("a SOCI index")
        );
        assert_eq!(
            wrong(&[("image", old), ("soci", old), ("image", new), ("soci", new)]),
            None
        );
        let other = "windows(10.0.17763.1)/amd64";
        assert_eq!(
            wrong(&[
                ("image", other),
                ("image", new),
                ("soci", other),
                ("soci", new)
            ]),
            None
        );
    }
}
