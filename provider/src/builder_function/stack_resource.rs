//! The status of a stack's resource. In: ids. Out: the status, and when it was set.
//!
//! The response is parsed with the crate that the SDK itself uses.

use std::time::{Duration, SystemTime};

use aws_config::SdkConfig;
use aws_sdk_ecr::primitives::{DateTime, DateTimeFormat};
use aws_smithy_xml::decode::{Document, try_data};
use soci_index::run::chain;
use soci_store::aws;
use url::{Url, form_urlencoded};

use crate::call::CallError;

const OPERATION: &str = "CloudFormation DescribeStackResource";
const SERVICE: &str = "cloudformation";
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
        let region = aws::region_of(stack_id, SERVICE);
        let url = region.and_then(|region| aws::endpoint(SERVICE, region));
        let (Some(region), Some(url)) = (region, url) else {
            let why = format!("{stack_id:?} is not a stack's ARN");
            return Err(CallError::new(OPERATION, why));
        };
        let body = form_urlencoded::Serializer::new(String::new())
            .append_pair("Action", "DescribeStackResource")
            .append_pair("Version", "2010-05-15")
            .append_pair("StackName", stack_id)
            .append_pair("LogicalResourceId", logical_id)
            .finish();
        let call = aws::Call {
            service: SERVICE,
            region,
            url: self.endpoint.as_ref().unwrap_or(&url),
            headers: &[("content-type", FORM)],
            body: &body,
            timeout: TIMEOUT,
        };
        let response = call.send(&self.config, &self.http).await;
        let (status, text) = response.map_err(|error| match error {
            aws::Error::Http(error) => CallError::transient(OPERATION, chain(&error)),
            error => CallError::new(OPERATION, chain(&error)),
        })?;
        if status.is_success() {
            return resource(&text)
                .ok_or_else(|| CallError::new(OPERATION, "the response contains no resource"));
        }
        let [code, message] = elements(&text, ["Code", "Message"]);
        let code = code.unwrap_or_else(|| status.to_string());
        let why = format!("{code}: {}", message.unwrap_or_default());
        Err(CallError::refused(OPERATION, &code, why))
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
}
