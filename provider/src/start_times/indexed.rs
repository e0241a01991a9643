//! What index the image of a container has. In: the container. Out: the version, none, or unknown, for example because the image is not in
//! ECR or may not be read.

use soci_format::{index::Version, oci::Selector};
use soci_index::{lookup::version_of, run::chain};
use soci_tasks::Container;

use crate::{app::App, log::Log, pace::RetryWindow, repository::Repository};

/// What index an image has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Indexed {
    Version(Version),
    None,
    Unknown,
}

impl Indexed {
    /// As in the metrics.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Version(version) => version.name(),
            Self::None => "none",
            Self::Unknown => "unknown",
        }
    }
}

/// Asks ECR.
pub(super) async fn look(
    app: &App,
    container: &Container,
    retry_window: RetryWindow,
    log: &Log,
) -> Indexed {
    let Some((repository, image)) = in_ecr(container) else {
        return Indexed::Unknown;
    };
    let images = app.images(&repository, retry_window, log);
    match version_of(&images, &image).await {
        Ok(Some(version)) => Indexed::Version(version),
        Ok(None) => Indexed::None,
        Err(error) => {
            let why = chain(&error);
            log.info(format_args!(
                "cannot look for an index of {}: {why}",
                container.image
            ));
            Indexed::Unknown
        }
    }
}

/// The repository and the image there.
fn in_ecr(container: &Container) -> Option<(Repository, Selector)> {
    let (image, pulled) = container.pulled()?;
    let repository = Repository::parse(&format!("{}/{}", image.host, image.repository))?;
    Some((repository, pulled))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_image_in_ecr_is_looked_up_as_it_was_pulled() {
        let digest = format!("sha256:{}", "a".repeat(64));
        let name = "123456789012.dkr.ecr.us-east-1.amazonaws.com/team/app";
        for (image, pulled, expected) in [
            (
                format!("{name}:v1"),
                Some(&digest),
                Some(Selector::Digest(digest.parse().unwrap())),
            ),
            (
                format!("{name}:v1"),
                None,
                Some(Selector::Tag("v1".to_owned())),
            ),
            (
                name.to_owned(),
                None,
                Some(Selector::Tag("latest".to_owned())),
            ),
            (
                format!("{name}@{digest}"),
                None,
                Some(Selector::Digest(digest.parse().unwrap())),
            ),
            ("nginx".to_owned(), Some(&digest), None),
            ("public.ecr.aws/nginx/nginx:1".to_owned(), None, None),
            (String::new(), None, None),
        ] {
            let container = Container {
                name: "app".to_owned(),
                image,
                image_digest: pulled.map(|digest| digest.parse().unwrap()),
            };
            assert_eq!(
                in_ecr(&container).map(|(_, image)| image),
                expected,
                "{container:?}"
            );
        }
    }
}
