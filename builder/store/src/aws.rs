//! Signed calls of AWS services. In: a service, a region, a body. Out: the response's status and text.
//!
//! For services of which only one or two operations are needed: their client crates take minutes to compile and would be the largest part
//! of the program. The signature is made by the crate that the SDK itself uses.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use reqwest::StatusCode;
use url::Url;

use crate::registry::log::sdk_chain;

/// One call.
#[derive(Clone, Copy, Debug)]
pub struct Call<'a> {
    /// As in the signature, for example `ecs`.
    pub service: &'a str,
    /// For example `eu-west-1`.
    pub region: &'a str,
    /// The service's endpoint.
    pub url: &'a Url,
    /// Headers that are signed.
    pub headers: &'a [(&'a str, &'a str)],
    /// Its format is that of the service's protocol.
    pub body: &'a str,
    /// For the whole call.
    pub timeout: Duration,
}

/// Why there is no response.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The environment, the AWS profile and the role provide none.
    #[error("cannot get AWS credentials: {0}")]
    Credentials(String),
    /// The request cannot be signed.
    #[error("cannot sign the request: {0}")]
    Signature(String),
    /// The connection failed or timed out.
    #[error(transparent)]
    Http(reqwest::Error),
}

impl Call<'_> {
    /// Signs the request with the credentials of `config`, sends it, and reads the response. Not retried.
    ///
    /// # Errors
    /// If there is no response. An error response is none of these.
    pub async fn send(
        self,
        config: &SdkConfig,
        http: &reqwest::Client,
    ) -> Result<(StatusCode, String), Error> {
        let mut request = http.post(self.url.clone()).timeout(self.timeout);
        for (name, value) in self.signature(config).await? {
            request = request.header(name, value);
        }
        for (name, value) in self.headers {
            request = request.header(*name, *value);
        }
        // As the SDK does, so that CloudTrail shows which function it was.
        let app = config.app_name();
        let app = app.map(|name| format!(" app/{name}")).unwrap_or_default();
        let agent = format!("soci-index-build/{}{app}", env!("CARGO_PKG_VERSION"));
        let failed = |error: reqwest::Error| Error::Http(error.without_url());
        let request = request
            .header("user-agent", agent)
            .body(self.body.to_owned());
        let response = request.send().await.map_err(failed)?;
        let status = response.status();
        Ok((status, response.text().await.map_err(failed)?))
    }

    /// The headers of the signature.
    async fn signature(self, config: &SdkConfig) -> Result<Vec<(String, String)>, Error> {
        let provider = config.credentials_provider();
        let provider = provider.ok_or_else(|| Error::Credentials("none are set".to_owned()))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials
            .map_err(|error| Error::Credentials(sdk_chain(&error)))?
            .into();
        let unsigned = |why: &dyn std::error::Error| Error::Signature(sdk_chain(why));
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(self.region)
            .name(self.service)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let body = SignableBody::Bytes(self.body.as_bytes());
        let headers = self.headers.iter().copied();
        let request = SignableRequest::new("POST", self.url.as_str(), headers, body);
        let signed = request.and_then(|request| sign(request, &parameters));
        let (instructions, _) = signed.map_err(|error| unsigned(&error))?.into_parts();
        let headers = instructions.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// The region of an ARN, if it is one of this service.
#[must_use]
pub fn region_of<'a>(arn: &'a str, service: &str) -> Option<&'a str> {
    let mut parts = arn.split(':');
    let is_wanted = parts.next() == Some("arn") && parts.nth(1) == Some(service);
    parts
        .next()
        .filter(|region| is_wanted && !region.is_empty())
}

/// AWS's endpoint of a service in a region. `None` if the region's name has other characters than lowercase letters, digits and hyphens, so
/// that credentials go to AWS only.
///
/// The partition follows from the region's name as in the SDK's `partitions.json`; names of partitions newer than this program are taken
/// for those of the commercial one.
#[must_use]
pub fn endpoint(service: &str, region: &str) -> Option<Url> {
    const BY_PREFIX: [(&str, &str); 6] = [
        ("cn-", "amazonaws.com.cn"),
        ("eusc-", "amazonaws.eu"),
        ("us-iso-", "c2s.ic.gov"),
        ("us-isob-", "sc2s.sgov.gov"),
        ("eu-isoe-", "cloud.adc-e.uk"),
        ("us-isof-", "csp.hci.ic.gov"),
    ];
    let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if region.is_empty() || !region.chars().all(is_word) {
        return None;
    }
    let found = BY_PREFIX
        .iter()
        .find(|(prefix, _)| region.starts_with(prefix));
    let domain = found.map_or("amazonaws.com", |(_, domain)| domain);
    Url::parse(&format!("https://{service}.{region}.{domain}/")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_region_is_that_of_the_arn() {
        for (arn, region) in [
            (
                "arn:aws:ecs:eu-west-1:123456789012:cluster/prod",
                Some("eu-west-1"),
            ),
            (
                "arn:aws-cn:ecs:cn-north-1:123456789012:cluster/prod",
                Some("cn-north-1"),
            ),
            ("arn:aws:eks:eu-west-1:123456789012:cluster/prod", None),
            ("arn:aws:ecs::1:cluster/prod", None),
            ("prod", None),
            ("", None),
        ] {
            assert_eq!(region_of(arn, "ecs"), region, "{arn}");
        }
    }

    #[test]
    fn every_partition_has_its_endpoint() {
        for (region, host) in [
            ("eu-west-1", "ecs.eu-west-1.amazonaws.com"),
            ("us-gov-west-1", "ecs.us-gov-west-1.amazonaws.com"),
            ("cn-north-1", "ecs.cn-north-1.amazonaws.com.cn"),
            ("eusc-de-east-1", "ecs.eusc-de-east-1.amazonaws.eu"),
            ("us-iso-east-1", "ecs.us-iso-east-1.c2s.ic.gov"),
            ("us-isob-east-1", "ecs.us-isob-east-1.sc2s.sgov.gov"),
            ("eu-isoe-west-1", "ecs.eu-isoe-west-1.cloud.adc-e.uk"),
            ("us-isof-south-1", "ecs.us-isof-south-1.csp.hci.ic.gov"),
        ] {
            let url = endpoint("ecs", region).unwrap();
            assert_eq!(url.host_str(), Some(host));
        }
    }

    #[test]
    fn credentials_go_to_aws_only() {
        for region in ["", "evil.example/", "evil.example#", "EU", "a b", "é"] {
            assert_eq!(endpoint("ecs", region), None, "{region}");
        }
    }
}
