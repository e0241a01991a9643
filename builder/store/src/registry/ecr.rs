//! ECR: the registry tokens of AWS, and which tags of a repository are the newest, which registries do not tell.
//! In: a registry's host. Out: whether it is ECR's, and what its API says. Makes an AWS client when one is needed.

mod http;

use std::{
    future::Future,
    time::{Duration, Instant},
};

use aws_config::{BehaviorVersion, Region, SdkConfig, timeout::TimeoutConfig};
use aws_sdk_ecr::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    types::{DescribeImagesFilter, TagStatus},
};
use tokio::sync::OnceCell;

use super::{
    log::{Log, sdk_chain},
    secret::Secret,
};

/// Every partition's domain. The token goes to the host, so a host that only looks like ECR's must not match.
const DOMAINS: [&str; 9] = [
    "amazonaws.com",
    "amazonaws.com.cn",
    "amazonaws.eu",
    "on.aws",
    "on.amazonwebservices.com.cn",
    "sc2s.sgov.gov",
    "c2s.ic.gov",
    "cloud.adc-e.uk",
    "csp.hci.ic.gov",
];

/// With its retries. A token takes well under a second.
const TOKEN_TIMEOUT: Duration = Duration::from_secs(60);

/// With its retries. It only saves time, so that not much of it is spent on looking for credentials where there are none.
const NEWEST_TAGS_TIMEOUT: Duration = Duration::from_secs(5);

/// The largest page that ECR gives.
const PAGE_SIZE: i32 = 1_000;

/// Why ECR's API gave no answer.
#[derive(Debug, thiserror::Error)]
#[error("cannot {what} from AWS in {region}: {reason}")]
pub struct EcrError {
    what: &'static str,
    region: String,
    reason: String,
}

impl EcrError {
    /// Whether the right is missing, or not in effect yet.
    pub(super) fn is_denied(&self) -> bool {
        ["AccessDenied", "UnrecognizedClient"]
            .iter()
            .any(|code| self.reason.starts_with(code))
    }
}

/// Where an ECR registry is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct EcrHost {
    account: String,
    region: String,
    fips: bool,
    dual_stack: bool,
}

impl EcrHost {
    /// Reads `<account>.dkr.ecr[-fips].<region>.<domain>` and, dual-stack, `<account>.dkr-ecr[-fips].<region>.<domain>`.
    pub(super) fn of(host: &str) -> Option<Self> {
        let host = host.strip_suffix(":443").unwrap_or(host);
        let (account, rest) = host.split_once(".dkr")?;
        if account.len() != 12 || !account.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let rest = rest.strip_prefix(['.', '-'])?.strip_prefix("ecr")?;
        let (fips, rest) = match rest.strip_prefix("-fips.") {
            Some(rest) => (true, rest),
            None => (false, rest.strip_prefix('.')?),
        };
        let (region, domain) = rest.split_once('.')?;
        let is_region = !region.is_empty()
            && region
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_region && DOMAINS.contains(&domain)).then(|| Self {
            account: account.to_owned(),
            region: region.to_owned(),
            fips,
            dual_stack: domain.starts_with("on."),
        })
    }
}

/// ECR's API.
pub(super) struct Api {
    config: OnceCell<SdkConfig>,
}

impl Api {
    /// Uses `config`, or else, when the first call is made, what the process's environment says.
    pub(super) fn new(config: Option<SdkConfig>) -> Self {
        Self {
            config: OnceCell::new_with(config),
        }
    }

    /// A new token: `AWS:<password>` in base64, as `Authorization` wants it. It lives 12 hours.
    pub(super) async fn fetch(&self, place: &EcrHost, log: &Log) -> Result<Secret, EcrError> {
        let call = async {
            let client = self.client(place, TOKEN_TIMEOUT).await;
            let given = client.get_authorization_token().send().await;
            given
                .map_err(reason)?
                .authorization_data()
                .iter()
                .find_map(|data| data.authorization_token())
                .map(Secret::new)
                .ok_or_else(|| "the response contains no token".to_owned())
        };
        let what = "get an ECR token";
        logged(place, ("GetAuthorizationToken", what), call, log).await
    }

    /// The tags that end in `suffix` among the first 1,000 images that have a tag; that whose image was pushed last comes first. ECR does
    /// not sort them.
    pub(super) async fn newest_tags(
        &self,
        place: &EcrHost,
        repository: &str,
        suffix: &str,
        log: &Log,
    ) -> Result<Vec<String>, EcrError> {
        let call = async {
            let client = self.client(place, NEWEST_TAGS_TIMEOUT).await;
            let tagged = DescribeImagesFilter::builder().tag_status(TagStatus::Tagged);
            let page = client
                .describe_images()
                .registry_id(&place.account)
                .repository_name(repository)
                .filter(tagged.build())
                .max_results(PAGE_SIZE)
                .send()
                .await
                .map_err(reason)?;
            let tags = page.image_details().iter().flat_map(|image| {
                let tags = image.image_tags().iter();
                tags.map(|tag| (image.image_pushed_at(), tag))
            });
            let mut wanted: Vec<_> = tags.filter(|(_, tag)| tag.ends_with(suffix)).collect();
            wanted.sort_unstable_by(|one, other| other.cmp(one));
            Ok(wanted.into_iter().map(|(_, tag)| tag.clone()).collect())
        };
        let what = "list the images of the repository";
        logged(place, ("DescribeImages", what), call, log).await
    }

    async fn client(&self, place: &EcrHost, timeout: Duration) -> Client {
        let region = Region::new(place.region.clone());
        let shared = self
            .config
            .get_or_init(|| async {
                aws_config::defaults(BehaviorVersion::latest())
                    .http_client(http::client())
                    // Without a region some sources of credentials refuse to look.
                    .region(region.clone())
                    .load()
                    .await
            })
            .await;
        let timeouts = TimeoutConfig::builder().operation_timeout(timeout);
        let config = aws_sdk_ecr::config::Builder::from(shared)
            .region(region.clone())
            .http_client(http::client())
            .use_fips(place.fips)
            .use_dual_stack(place.dual_stack)
            .timeout_config(timeouts.build());
        Client::from_conf(config.build())
    }
}

/// Makes a call, and logs how it ended and how long it took. `what` is what it is for, in the words of the error.
async fn logged<T>(
    place: &EcrHost,
    (operation, what): (&str, &'static str),
    call: impl Future<Output = Result<T, String>>,
    log: &Log,
) -> Result<T, EcrError> {
    let started = Instant::now();
    let answer = call.await;
    log.line(|| {
        let outcome = match &answer {
            Ok(_) => "OK",
            Err(reason) => reason,
        };
        let (region, seconds) = (&place.region, started.elapsed().as_secs_f64());
        format!("ecr:{operation} in {region}: {outcome} ({seconds:.3} s)")
    });
    answer.map_err(|reason| EcrError {
        what,
        region: place.region.clone(),
        reason,
    })
}

/// AWS's own words: its code and its message, or what kept the call from being made.
fn reason<E>(error: SdkError<E>) -> String
where
    SdkError<E>: ProvideErrorMetadata,
    E: std::error::Error + 'static,
{
    match error.code() {
        Some(code) => format!("{code}: {}", error.message().unwrap_or_default()),
        None => {
            let status = error.raw_response().map(|answer| answer.status().as_u16());
            let status = status.map(|status| format!(" (status {status})"));
            sdk_chain(&error) + &status.unwrap_or_default()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(host: &str) -> Option<(String, bool, bool)> {
        EcrHost::of(host).map(|place| (place.region, place.fips, place.dual_stack))
    }

    #[test]
    fn hosts_of_every_partition_are_known() {
        for (host, region, fips, dual_stack) in [
            (
                "123456789012.dkr.ecr.eu-west-1.amazonaws.com",
                "eu-west-1",
                false,
                false,
            ),
            (
                "123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn",
                "cn-north-1",
                false,
                false,
            ),
            (
                "123456789012.dkr.ecr-fips.us-gov-west-1.amazonaws.com",
                "us-gov-west-1",
                true,
                false,
            ),
            (
                "123456789012.dkr-ecr.us-east-1.on.aws",
                "us-east-1",
                false,
                true,
            ),
            (
                "123456789012.dkr-ecr-fips.us-east-1.on.aws",
                "us-east-1",
                true,
                true,
            ),
            (
                "123456789012.dkr.ecr.eusc-de-east-1.amazonaws.eu:443",
                "eusc-de-east-1",
                false,
                false,
            ),
        ] {
            assert_eq!(
                place(host),
                Some((region.to_owned(), fips, dual_stack)),
                "{host}"
            );
        }
    }

    #[test]
    fn hosts_that_look_like_it_get_no_token() {
        for host in [
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com.evil.example",
            "123456789012.dkr.ecr.eu-west-1.evil.example",
            "12345678901.dkr.ecr.eu-west-1.amazonaws.com",
            "x23456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr..amazonaws.com",
            "123456789012.dkr.s3.eu-west-1.amazonaws.com",
            "public.ecr.aws",
            "evil.example/123456789012.dkr.ecr.eu-west-1.amazonaws.com",
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com:8443",
            "localhost:5000",
        ] {
            assert_eq!(place(host), None, "{host}");
        }
    }
}
