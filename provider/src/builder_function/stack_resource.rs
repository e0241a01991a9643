//! The status of a stack's resource. In: ids. Out: the status, and when it was set.
//!
//! CloudFormation's client crate takes minutes to compile and would be the largest part of the program, for one call. The request is
//! signed, and the response parsed, with the crates that the SDK itself uses.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_credential_types::provider::ProvideCredentials;
use aws_sdk_ecr::primitives::{DateTime, DateTimeFormat};
use aws_sigv4::{
    http_request::{SignableBody, SignableRequest, SigningSettings, sign},
    sign::v4,
};
use aws_smithy_xml::decode::{Document, try_data};
use soci_index::run::chain;
use url::{Url, form_urlencoded};

use crate::call::CallError;

const OPERATION: &str = "CloudFormation DescribeStackResource";
const FORM: &str = "application/x-www-form-urlencoded";
const TIMEOUT: Duration = Duration::from_secs(5);

/// Calls CloudFormation.
#[derive(Clone, Debug)]
pub struct StackResources {
    config: SdkConfig,
    http: reqwest::Client,
    /// Overrides AWS's endpoint.
    endpoint: Option<Url>,
}

/// A resource of a stack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StackResource {
    /// `UPDATE_IN_PROGRESS` and the like.
    pub(super) status: String,
    /// When the status was set.
    pub(super) updated: SystemTime,
}

impl StackResources {
    /// Uses the credentials of `config`; `endpoint` overrides AWS's.
    #[must_use]
    pub fn new(config: SdkConfig, http: reqwest::Client, endpoint: Option<Url>) -> Self {
        Self {
            config,
            http,
            endpoint,
        }
    }

    /// Describes a resource.
    ///
    /// # Errors
    /// If the call fails.
    pub(super) async fn describe(
        &self,
        stack_id: &str,
        logical_id: &str,
    ) -> Result<StackResource, CallError> {
        let stack = Stack::parse(stack_id).ok_or_else(|| {
            CallError::new(OPERATION, format!("{stack_id:?} is not a stack's ARN"))
        })?;
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "DescribeStackResource")
            .append_pair("Version", "2010-05-15")
            .append_pair("StackName", stack_id)
            .append_pair("LogicalResourceId", logical_id)
            .finish();
        let url = match &self.endpoint {
            Some(endpoint) => endpoint.clone(),
            None => stack.endpoint()?,
        };
        let mut request = self.http.post(url.clone()).timeout(TIMEOUT);
        for (name, value) in self.signature(&url, stack.region, &body).await? {
            request = request.header(name, value);
        }
        let request = request
            .header("content-type", FORM)
            .header("user-agent", self.user_agent())
            .body(body);
        let broken =
            |error: reqwest::Error| CallError::transient(OPERATION, chain(&error.without_url()));
        let response = request.send().await.map_err(broken)?;
        let is_success = response.status().is_success();
        let status = response.status();
        let text = response.text().await.map_err(broken)?;
        if is_success {
            return resource(&text)
                .ok_or_else(|| CallError::new(OPERATION, "the response contains no resource"));
        }
        let [code, message] = elements(&text, ["Code", "Message"]);
        let code = code.unwrap_or_else(|| status.to_string());
        let why = format!("{code}: {}", message.unwrap_or_default());
        Err(CallError::refused(OPERATION, &code, why))
    }

    /// With the application name, as the SDK does, so that CloudTrail shows which function it was.
    fn user_agent(&self) -> String {
        let name = self.config.app_name();
        let app = name.map(|name| format!(" app/{name}")).unwrap_or_default();
        format!("soci-provider/{}{app}", env!("CARGO_PKG_VERSION"))
    }

    /// The headers of the signature.
    async fn signature(
        &self,
        url: &Url,
        region: &str,
        body: &str,
    ) -> Result<Vec<(String, String)>, CallError> {
        let unsigned = |why: &dyn std::error::Error| CallError::new(OPERATION, chain(why));
        let provider = self.config.credentials_provider();
        let provider = provider.ok_or_else(|| CallError::new(OPERATION, "no credentials"))?;
        let credentials = provider.provide_credentials().await;
        let identity = credentials.map_err(|error| unsigned(&error))?.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("cloudformation")
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| unsigned(&error))?
            .into();
        let headers = [("content-type", FORM)].into_iter();
        let body = SignableBody::Bytes(body.as_bytes());
        let request = SignableRequest::new("POST", url.as_str(), headers, body);
        let signed = request.and_then(|request| sign(request, &parameters));
        let (instructions, _) = signed.map_err(|error| unsigned(&error))?.into_parts();
        let headers = instructions.headers();
        Ok(headers
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect())
    }
}

/// The partition and region of a stack's ARN.
struct Stack<'a> {
    partition: &'a str,
    region: &'a str,
}

impl<'a> Stack<'a> {
    fn parse(arn: &'a str) -> Option<Self> {
        let mut parts = arn.split(':');
        let ("arn", partition, "cloudformation", region) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?)
        else {
            return None;
        };
        let is_word = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        (!region.is_empty() && region.chars().all(is_word)).then_some(Self { partition, region })
    }

    /// AWS's endpoint; unknown in partitions newer than this program.
    fn endpoint(&self) -> Result<Url, CallError> {
        let domain = match self.partition {
            "aws" | "aws-us-gov" => "amazonaws.com",
            "aws-cn" => "amazonaws.com.cn",
            "aws-eusc" => "amazonaws.eu",
            "aws-iso" => "c2s.ic.gov",
            "aws-iso-b" => "sc2s.sgov.gov",
            "aws-iso-e" => "cloud.adc-e.uk",
            "aws-iso-f" => "csp.hci.ic.gov",
            other => {
                let why = format!("unknown partition {other}");
                return Err(CallError::new(OPERATION, why));
            }
        };
        let url = format!("https://cloudformation.{}.{domain}/", self.region);
        Url::parse(&url).map_err(|error| CallError::new(OPERATION, error.to_string()))
    }
}

fn resource(xml: &str) -> Option<StackResource> {
    let [status, updated] = elements(xml, ["ResourceStatus", "LastUpdatedTimestamp"]);
    let updated = DateTime::from_str(&updated?, DateTimeFormat::DateTimeWithOffset).ok()?;
    Some(StackResource {
        status: status?,
        updated: updated.try_into().ok()?,
    })
}

/// The texts of the first elements with these names.
fn elements<const N: usize>(xml: &str, names: [&str; N]) -> [Option<String>; N] {
    let mut found = names.map(|_| None);
    let mut document = Document::new(xml);
    while let Some(start) = document.next_start_element() {
        let name = start.local().to_owned();
        if let Some(at) = names.iter().position(|wanted| *wanted == name)
            && found[at].is_none()
            && let Ok(text) = try_data(&mut document)
        {
            found[at] = Some(text.into_owned());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_is_read() {
        let xml = r#"<DescribeStackResourceResponse xmlns="http://cloudformation.amazonaws.com/doc/2010-05-15/">
          <DescribeStackResourceResult><StackResourceDetail>
            <StackId>arn:aws:cloudformation:us-east-1:123456789012:stack/Demo/0a1b</StackId>
            <ResourceStatus>UPDATE_IN_PROGRESS</ResourceStatus>
            <LastUpdatedTimestamp>2026-11-22T18:15:23.250Z</LastUpdatedTimestamp>
          </StackResourceDetail></DescribeStackResourceResult></DescribeStackResourceResponse>"#;
        let found = resource(xml).unwrap();
        assert_eq!(found.status, "UPDATE_IN_PROGRESS");
        let since = found
            .updated
            .duration_since(SystemTime::UNIX_EPOCH)
            .unwrap();
        assert_eq!(since, Duration::from_millis(1_795_371_323_250));
        let error = "<ErrorResponse><Error><Type>RequestContext</Type><Code>AccessDenied</Code><Message>no &amp; no</Message></Error></ErrorResponse>";
        let [code, message] = elements(error, ["Code", "Message"]);
        assert_eq!(
            (code.as_deref(), message.as_deref()),
            (Some("AccessDenied"), Some("no & no"))
        );
        for text in ["", "<html>", "<a><ResourceStatus>", "{}"] {
            assert_eq!(resource(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_partition_has_its_endpoint() {
        for (arn, url) in [
            (
                "arn:aws:cloudformation:eu-west-1:1:stack/s/0",
                Some("https://cloudformation.eu-west-1.amazonaws.com/"),
            ),
            (
                "arn:aws-cn:cloudformation:cn-north-1:1:stack/s/0",
                Some("https://cloudformation.cn-north-1.amazonaws.com.cn/"),
            ),
            (
                "arn:aws-eusc:cloudformation:eusc-de-east-1:1:stack/s/0",
                Some("https://cloudformation.eusc-de-east-1.amazonaws.eu/"),
            ),
            ("arn:aws-new:cloudformation:x-1:1:stack/s/0", None),
            ("arn:aws:cloudformation:evil.example/:1:stack/s/0", None),
            ("Demo", None),
        ] {
            let found = Stack::parse(arn).and_then(|stack| stack.endpoint().ok());
            assert_eq!(found.as_ref().map(Url::as_str), url, "{arn}");
        }
    }
}
