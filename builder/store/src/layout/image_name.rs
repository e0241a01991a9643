//! The names themselves: their parts, and the name that a result gets. Pure.

use soci_format::oci::is_tag;

/// The tag that a name without one means.
const LATEST: &str = "latest";

/// The name of a result: that of `own` with the tag `asked`, or with its own tag and `-soci`. `asked` may be a whole name
/// itself. `None` where there is nothing to make it of.
///
/// # Errors
/// Where the result could not be named so; the error is that name.
pub fn output_name(own: Option<&str>, asked: Option<&str>) -> Result<Option<String>, String> {
    let own = own.map(|own| own.split('@').next().unwrap_or_default());
    let (repository, tag) = own
        .filter(|own| !own.is_empty())
        .map_or((None, None), parts);
    let tag = match (asked, repository, tag) {
        (Some(whole), ..) if whole.contains('/') => {
            return if is_whole_name(whole) {
                Ok(Some(whole.to_owned()))
            } else {
                Err(whole.to_owned())
            };
        }
        (Some(tag), ..) => tag.to_owned(),
        (None, None, None) => return Ok(None),
        (None, _, tag) => format!("{}-soci", tag.unwrap_or(LATEST)),
    };
    match repository {
        _ if !is_tag(&tag) => Err(tag),
        Some(repository) => Ok(Some(format!("{repository}:{tag}"))),
        None => Ok(Some(tag)),
    }
}

/// The tag that a name says: in a registry, what is copied gets it. `None` where it says none.
pub fn tag_of(name: &str) -> Option<&str> {
    let name = name.split('@').next().unwrap_or_default();
    match parts(name) {
        (_, Some(tag)) => Some(tag).filter(|tag| is_tag(tag)),
        (Some(_), None) => Some(LATEST),
        (None, None) => None,
    }
}

/// The repository and the tag of a name: either may be missing.
pub(super) fn parts(name: &str) -> (Option<&str>, Option<&str>) {
    let last = name.rfind('/').map_or(0, |at| at + 1);
    match name[last..].find(':') {
        Some(at) => (Some(&name[..last + at]), Some(&name[last + at + 1..])),
        None if last > 0 => (Some(name), None),
        None => (None, Some(name)),
    }
}

/// Whether `name` is `HOST/REPOSITORY:TAG` or the like.
fn is_whole_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-._:/[]".contains(&byte);
    match parts(name) {
        (Some(repository), Some(tag)) => {
            is_tag(tag)
                && repository.len() <= 255
                && repository.bytes().all(allowed)
                && repository.split('/').all(|part| !part.is_empty())
        }
        _ => false,
    }
}

/// A name without what docker leaves out of it.
pub(super) fn short(name: &str) -> Option<&str> {
    let rest = name.strip_prefix("docker.io/")?;
    Some(rest.strip_prefix("library/").unwrap_or(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_may_say_a_tag() {
        for (name, tag) in [
            ("v1", Some("v1")),
            ("localhost/app:1.2", Some("1.2")),
            ("localhost:5000/app", Some("latest")),
            ("r.example/app:1@sha256:00", Some("1")),
            ("a b", None),
            ("", None),
        ] {
            assert_eq!(tag_of(name), tag, "{name}");
        }
    }

    #[test]
    fn a_result_is_named_after_its_image() {
        for (own, asked, expected) in [
            (None, None, Ok(None)),
            (None, Some("x"), Ok(Some("x"))),
            (Some("v1"), None, Ok(Some("v1-soci"))),
            (Some("v1"), Some("x"), Ok(Some("x"))),
            (
                Some("v1"),
                Some("r.example/app:x"),
                Ok(Some("r.example/app:x")),
            ),
            (
                Some("localhost/app:1.2"),
                None,
                Ok(Some("localhost/app:1.2-soci")),
            ),
            (
                Some("localhost/app:1.2"),
                Some("x"),
                Ok(Some("localhost/app:x")),
            ),
            (
                Some("localhost:5000/app"),
                None,
                Ok(Some("localhost:5000/app:latest-soci")),
            ),
            (Some("app:1"), None, Ok(Some("app:1-soci"))),
            (
                Some("r.example/app:1@sha256:00"),
                None,
                Ok(Some("r.example/app:1-soci")),
            ),
            (
                Some("r.example/app@sha256:00"),
                Some("x"),
                Ok(Some("r.example/app:x")),
            ),
            (Some("@sha256:00"), None, Ok(None)),
            (Some("v1"), Some(""), Err("")),
            (Some("v1"), Some("app:x"), Err("app:x")),
            (Some("v1"), Some("r.example/app"), Err("r.example/app")),
            (
                Some("v1"),
                Some("r.example//app:x"),
                Err("r.example//app:x"),
            ),
            (
                Some("v1"),
                Some("r.example/app:x@sha256:00"),
                Err("r.example/app:x@sha256:00"),
            ),
            (Some("a b"), None, Err("a b-soci")),
        ] {
            let name = output_name(own, asked);
            let expected = expected.map(|name| name.map(str::to_owned));
            assert_eq!(name, expected.map_err(str::to_owned), "{own:?} {asked:?}");
        }
    }
}
