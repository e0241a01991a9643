//! Asks ECR about repositories and images; reads no manifest.
//! In: names. Out: what ECR says of them. Calls are retried for a while.

use aws_sdk_ecr::{
    Client,
    types::{DescribeImagesFilter, ImageDetail, ImageIdentifier, ImageStatus, TagStatus},
};
use soci_format::{digest::Digest, oci::media_type};

use crate::{
    call::{CallError, Named, with_retries},
    log::Log,
    pace::RetryWindow,
    repository::Repository,
};

/// The largest page that ECR gives.
const PAGE_SIZE: i32 = 1_000;
/// Manifests come with the answer, and are a few kilobytes.
const TAGS_AT_ONCE: usize = 20;

/// The account's registry in one region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Registry {
    host: String,
    /// The account.
    pub(super) account: String,
    /// The region.
    pub(super) region: String,
}

/// What ECR says of an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Described {
    /// Its digest.
    pub(super) digest: Digest,
    /// All of its tags.
    pub(super) tags: Vec<String>,
    /// The manifest's media type.
    pub(super) manifest_media_type: Option<String>,
    /// The media type of the config, or the artifact type.
    pub(super) artifact_media_type: Option<String>,
    /// Whether it refers to another image, as a signature does.
    pub(super) has_subject: bool,
    /// Whether it is archived.
    pub(super) is_archived: bool,
    /// When it was pushed, in milliseconds since 1970.
    pub(super) pushed_at: u64,
}

/// Asks ECR.
#[derive(Clone, Debug)]
pub(super) struct Catalog {
    /// ECR's client.
    pub(super) ecr: Client,
    /// How long calls are retried.
    pub(super) retry_window: RetryWindow,
    /// Logs retries.
    pub(super) log: Log,
}

impl Registry {
    /// From its address, as ECR gives it.
    fn parse(endpoint: &str) -> Option<Self> {
        let host = endpoint.strip_prefix("https://")?.trim_end_matches('/');
        let some = Repository::parse(&format!("{host}/any"))?;
        Some(Self {
            host: host.to_owned(),
            account: some.account,
            region: some.region,
        })
    }

    /// The repository of this name, if there can be one.
    pub(super) fn repository(&self, name: &str) -> Option<Repository> {
        Repository::parse(&format!("{}/{name}", self.host))
    }
}

impl Described {
    fn parse(detail: &ImageDetail) -> Option<Self> {
        let pushed_at = detail.image_pushed_at().and_then(|at| at.to_millis().ok());
        Some(Self {
            digest: detail.image_digest()?.parse().ok()?,
            tags: detail.image_tags().to_vec(),
            manifest_media_type: detail.image_manifest_media_type().map(str::to_owned),
            artifact_media_type: detail.artifact_media_type().map(str::to_owned),
            has_subject: detail.subject_manifest_digest().is_some(),
            is_archived: detail.image_status() == Some(&ImageStatus::Archived),
            pushed_at: pushed_at.and_then(|at| at.try_into().ok()).unwrap_or(0),
        })
    }
}

impl Catalog {
    /// The account's registry. The token that comes with it is not used.
    pub(super) async fn registry(&self) -> Result<Registry, CallError> {
        const OPERATION: &str = "ECR GetAuthorizationToken";
        let got = with_retries(&self.retry_window, &self.log, || async {
            let got = self.ecr.get_authorization_token().send().await;
            got.named(OPERATION)
        });
        let got = got.await?;
        let endpoint = got.authorization_data().first();
        let endpoint = endpoint.and_then(|data| data.proxy_endpoint());
        let endpoint = endpoint.unwrap_or_default();
        let unknown =
            || CallError::new(OPERATION, format!("{endpoint:?} is no registry's address"));
        Registry::parse(endpoint).ok_or_else(unknown)
    }

    /// The image that a tag names; `None` if there is no such tag or repository.
    pub(super) async fn describe(
        &self,
        repository: &Repository,
        tag: &str,
    ) -> Result<Option<Described>, CallError> {
        const OPERATION: &str = "ECR DescribeImages";
        let described = with_retries(&self.retry_window, &self.log, || async {
            self.ecr
                .describe_images()
                .registry_id(&repository.account)
                .repository_name(&repository.name)
                .image_ids(ImageIdentifier::builder().image_tag(tag).build())
                .send()
                .await
                .named(OPERATION)
        });
        match described.await {
            Ok(described) => Ok(described.image_details().first().and_then(Described::parse)),
            Err(error) if error.is_not_found() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The first of `tags` that exists.
    pub(super) async fn first_existing(
        &self,
        repository: &Repository,
        tags: &[String],
    ) -> Result<Option<String>, CallError> {
        for tags in tags.chunks(TAGS_AT_ONCE) {
            let of = |tag: &String| ImageIdentifier::builder().image_tag(tag).build();
            let got = with_retries(&self.retry_window, &self.log, || async {
                self.ecr
                    .batch_get_image()
                    .registry_id(&repository.account)
                    .repository_name(&repository.name)
                    .set_image_ids(Some(tags.iter().map(of).collect()))
                    .set_accepted_media_types(Some(
                        media_type::MANIFESTS.map(str::to_owned).to_vec(),
                    ))
                    .send()
                    .await
                    .named("ECR BatchGetImage")
            });
            let got = got.await?;
            let mut found = got.images().iter().filter_map(|image| image.image_id());
            if let Some(tag) = found.find_map(|id| id.image_tag()) {
                return Ok(Some(tag.to_owned()));
            }
        }
        Ok(None)
    }

    /// The names of all repositories, sorted.
    pub(super) async fn repositories(&self, registry: &Registry) -> Result<Vec<String>, CallError> {
        let mut names = Vec::new();
        let mut next = None;
        loop {
            let page = with_retries(&self.retry_window, &self.log, || async {
                self.ecr
                    .describe_repositories()
                    .registry_id(&registry.account)
                    .max_results(PAGE_SIZE)
                    .set_next_token(next.clone())
                    .send()
                    .await
                    .named("ECR DescribeRepositories")
            });
            let page = page.await?;
            let found = page.repositories().iter();
            names.extend(found.filter_map(|found| found.repository_name().map(str::to_owned)));
            next = page.next_token;
            if next.is_none() {
                names.sort_unstable();
                return Ok(names);
            }
        }
    }

    /// All images of a repository that have a tag; none if there is no such repository.
    pub(super) async fn images(
        &self,
        repository: &Repository,
    ) -> Result<Vec<Described>, CallError> {
        let mut images = Vec::new();
        let mut next = None;
        loop {
            let (page, token) = self.page(repository, next).await?;
            images.extend(page);
            next = token;
            if next.is_none() {
                return Ok(images);
            }
        }
    }

    /// The tag with this suffix whose image was pushed last, among the first 1,000 images that have a tag; ECR does not sort them.
    pub(super) async fn newest_with_suffix(
        &self,
        repository: &Repository,
        suffix: &str,
    ) -> Result<Option<String>, CallError> {
        let (images, _) = self.page(repository, None).await?;
        let tags = images.into_iter().flat_map(|image| {
            let of = move |tag| (image.pushed_at, tag);
            image.tags.into_iter().map(of)
        });
        let newest = tags.filter(|(_, tag)| tag.ends_with(suffix)).max();
        Ok(newest.map(|(_, tag)| tag))
    }

    /// A page of the images of a repository that have a tag, and where the next one begins.
    async fn page(
        &self,
        repository: &Repository,
        next: Option<String>,
    ) -> Result<(Vec<Described>, Option<String>), CallError> {
        let tagged = DescribeImagesFilter::builder().tag_status(TagStatus::Tagged);
        let tagged = tagged.build();
        let page = with_retries(&self.retry_window, &self.log, || async {
            self.ecr
                .describe_images()
                .registry_id(&repository.account)
                .repository_name(&repository.name)
                .filter(tagged.clone())
                .max_results(PAGE_SIZE)
                .set_next_token(next.clone())
                .send()
                .await
                .named("ECR DescribeImages")
        });
        match page.await {
            Ok(page) => {
                let images = page.image_details().iter();
                let images = images.filter_map(Described::parse).collect();
                Ok((images, page.next_token))
            }
            Err(error) if error.is_not_found() => Ok((Vec::new(), None)),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_registry_is_known_by_its_address() {
        let endpoint = "https://123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn";
        let registry = Registry::parse(endpoint).unwrap();
        assert_eq!(registry.region, "cn-north-1");
        assert_eq!(registry.account, "123456789012");
        let repository = registry.repository("team/app").unwrap();
        assert_eq!(
            format!("https://{repository}"),
            format!("{endpoint}/team/app")
        );
        assert_eq!(registry.repository("Team App"), None);
        for text in ["", "https://", "https://example.com", "123456789012"] {
            assert_eq!(Registry::parse(text), None, "{text:?}");
        }
    }
}
