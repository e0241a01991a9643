//! Decides whether a pushed image is indexed. In: the event, the settings, and what ECR says of the image now. Out: the output tag, or why
//! the image is passed over. Pure.

use soci_format::{
    digest::Digest,
    index::Version,
    oci::{is_tag, media_type},
};

use super::{
    catalog::{Described, Registry},
    event::Pushed,
    settings::Settings,
};

/// Why an image is passed over. This is no failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(super) struct Skip(pub(super) String);

impl Skip {
    fn because<T>(why: impl Into<String>) -> Result<T, Self> {
        Err(Self(why.into()))
    }
}

/// What the event alone says; the image's tag if it is to be indexed.
pub(super) fn by_event<'a>(pushed: &'a Pushed, settings: &Settings) -> Result<&'a str, Skip> {
    let Some(tag) = pushed.tag.as_deref() else {
        return Skip::because("pushed by digest, without a tag");
    };
    by_name(&pushed.repository, tag, settings)?;
    Ok(tag)
}

/// What an image's name alone says.
pub(super) fn by_name(repository: &str, tag: &str, settings: &Settings) -> Result<(), Skip> {
    by_tag(tag, settings)?;
    match settings.filters.matches(repository, tag) {
        true => Ok(()),
        false => Skip::because("no filter matches"),
    }
}

fn by_tag(tag: &str, settings: &Settings) -> Result<(), Skip> {
    if settings.version == Version::V2 && tag.ends_with(&settings.output_suffix) {
        let suffix = &settings.output_suffix;
        return Skip::because(format!("the tag ends in {suffix}, as the output tags do"));
    }
    if is_about_another_image(tag) {
        return Skip::because(
            "the tag is that of a signature, an attestation or a list of referrers",
        );
    }
    Ok(())
}

/// What the place of the event says.
pub(super) fn by_place(pushed: &Pushed, registry: &Registry) -> Result<(), Skip> {
    let is_here = |said: &Option<String>, here: &str| said.as_deref().is_none_or(|it| it == here);
    if is_here(&pushed.account, &registry.account) && is_here(&pushed.region, &registry.region) {
        return Ok(());
    }
    let (account, region) = (&registry.account, &registry.region);
    Skip::because(format!(
        "pushed to account {}, region {}; this function indexes images of account {account}, region {region}",
        pushed.account.as_ref().unwrap_or(account),
        pushed.region.as_ref().unwrap_or(region),
    ))
}

/// What ECR says of the image that the tag names now, if it names any.
pub(super) fn by_image(digest: &Digest, described: Option<&Described>) -> Result<(), Skip> {
    let Some(described) = described else {
        return Skip::because("the tag or the repository was deleted");
    };
    if described.digest != *digest {
        return Skip::because(format!(
            "the tag names another image now: {}",
            described.digest
        ));
    }
    by_kind(described)
}

/// Whether it is a container image.
pub(super) fn by_kind(described: &Described) -> Result<(), Skip> {
    if described.is_archived {
        return Skip::because("the image is archived");
    }
    if described.has_subject {
        return Skip::because("not a container image: it refers to another image");
    }
    let is_known = |kind: &Option<String>, known: &[&str]| {
        kind.as_deref().is_none_or(|kind| known.contains(&kind))
    };
    let not_an_image = |kind: &Option<String>| {
        let kind = kind.as_deref().unwrap_or_default();
        Skip::because(format!("not a container image: {kind}"))
    };
    if !is_known(&described.manifest_media_type, &media_type::MANIFESTS) {
        return not_an_image(&described.manifest_media_type);
    }
    let configs = [media_type::OCI_CONFIG, media_type::DOCKER_CONFIG];
    let has_config = [media_type::OCI_MANIFEST, media_type::DOCKER_MANIFEST]
        .map(Some)
        .contains(&described.manifest_media_type.as_deref());
    if has_config && !is_known(&described.artifact_media_type, &configs) {
        return not_an_image(&described.artifact_media_type);
    }
    Ok(())
}

/// The tag that the index gets; none for version 1.
pub(super) fn output_tag(tag: &str, settings: &Settings) -> Result<Option<String>, String> {
    if settings.version == Version::V1 {
        return Ok(None);
    }
    let output = format!("{tag}{}", settings.output_suffix);
    match is_tag(&output) {
        true => Ok(Some(output)),
        false => Err(output),
    }
}

/// The output tags of the image's other tags.
pub(super) fn other_output_tags(tag: &str, tags: &[String], settings: &Settings) -> Vec<String> {
    let is_other = |other: &&String| *other != tag && by_tag(other, settings).is_ok();
    let others = tags.iter().filter(is_other);
    others
        .filter_map(|other| output_tag(other, settings).ok().flatten())
        .collect()
}

/// Whether a tag has the form that cosign gives to signatures (`sha256-<digest>.sig`), and OCI to lists of referrers (`sha256-<digest>`).
fn is_about_another_image(tag: &str) -> bool {
    let Some(hex) = tag.strip_prefix("sha256-").and_then(|rest| rest.get(..64)) else {
        return false;
    };
    hex.bytes().all(|byte| byte.is_ascii_hexdigit())
}
