//! The response to CloudFormation: a JSON body within the size limit.
//! In: the request context and the result or the failure reason. Out: the body. Sends nothing.

use serde::Serialize;
use serde_json::{Map, Value};

use soci_format::printable::one_line;

use crate::{event::RequestContext, physical_id::PhysicalId, verdict::IndexResult};

/// CloudFormation's limit for the body.
pub const BYTES_MAX: usize = 4_096;

/// CodeBuild's log links have about 200 bytes. A longer one would leave no space for the reason.
const LINK_BYTES_MAX: usize = 1_024;

/// Marks truncated text.
const CUT: &str = "…";

/// A response to CloudFormation.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Response {
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    reason: String,
    physical_resource_id: String,
    stack_id: String,
    request_id: String,
    logical_resource_id: String,
    #[serde(skip_serializing_if = "Map::is_empty")]
    data: Map<String, Value>,
}

impl Response {
    /// The resource was created or updated.
    #[must_use]
    pub fn done(context: &RequestContext, done: &IndexResult) -> Self {
        let id = match &context.physical_id {
            Some(old) => done.id.after(old),
            None => done.id.to_string(),
        };
        let attributes = [
            ("OutputImageTag", done.output_tag.clone()),
            ("OutputImageDigest", done.output.to_string()),
            (
                "InputImageDigest",
                done.input
                    .map(|digest| digest.to_string())
                    .unwrap_or_default(),
            ),
            ("Outcome", done.outcome.to_string()),
            ("BuildId", done.build_id.clone().unwrap_or_default()),
            ("LayersIndexed", done.layers.indexed.to_string()),
            ("LayersReused", done.layers.reused.to_string()),
            ("BytesRead", done.bytes_read.to_string()),
        ];
        let data = attributes.map(|(name, value)| (name.to_owned(), Value::String(value)));
        Self {
            data: data.into_iter().collect(),
            ..Self::of(context, "SUCCESS", id)
        }
    }

    /// The build runs in the background; `note` says where to find its result.
    #[must_use]
    pub fn started(context: &RequestContext, done: &IndexResult, note: &str) -> Self {
        Self::done(context, done).because(note, None)
    }

    /// The resource was deleted; `note` says what was kept.
    #[must_use]
    pub fn deleted(context: &RequestContext, note: &str) -> Self {
        Self::of(context, "SUCCESS", old_id(context)).because(note, None)
    }

    /// The request failed. The log link is never truncated.
    #[must_use]
    pub fn failed(context: &RequestContext, reason: &str, link: Option<&str>) -> Self {
        // CloudFormation rejects a failure without a reason.
        let reason = if reason.trim().is_empty() {
            "failed: no reason was given"
        } else {
            reason
        };
        Self::of(context, "FAILED", old_id(context)).because(reason, link)
    }

    fn of(context: &RequestContext, status: &'static str, id: String) -> Self {
        Self {
            status,
            reason: String::new(),
            physical_resource_id: id,
            stack_id: context.stack_id.clone(),
            request_id: context.request_id.clone(),
            logical_resource_id: context.logical_id.clone(),
            data: Map::new(),
        }
    }

    fn because(mut self, reason: &str, link: Option<&str>) -> Self {
        let link = link
            .filter(|link| link.len() <= LINK_BYTES_MAX)
            .map(|link| format!(" (log: {})", one_line(link)))
            .unwrap_or_default();
        if reason.is_empty() {
            return self;
        }
        self.reason = link;
        // The body omits an empty reason.
        let field = if self.reason.is_empty() {
            r#","Reason":"""#.len()
        } else {
            0
        };
        let room = BYTES_MAX.saturating_sub(self.body().len() + field);
        self.reason.insert_str(0, &cut(&one_line(reason), room));
        self
    }

    /// The response as JSON.
    #[must_use]
    pub fn body(&self) -> String {
        // Serializing strings and maps of strings cannot fail.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// The reason; empty if there is none.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// For the log, because CloudFormation shows no attributes: the status, the attributes and the reason.
    #[must_use]
    pub fn log_line(&self) -> String {
        let attributes = self.data.iter().map(|(name, value)| {
            let value = value.as_str().unwrap_or_default();
            format!("{name}={value}")
        });
        let mut line = vec![self.status.to_owned()];
        line.extend(attributes);
        line.extend((!self.reason.is_empty()).then(|| self.reason.clone()));
        line.join(" ")
    }
}

/// The existing physical id, or one for a resource that was never created.
fn old_id(context: &RequestContext) -> String {
    let old = context.physical_id.clone();
    old.unwrap_or_else(|| PhysicalId::not_created(&context.request_id))
}

/// Truncates `text` to at most `room` bytes of JSON. Expects no control characters.
fn cut(text: &str, room: usize) -> String {
    let bytes = |c: char| match c {
        '"' | '\\' => 2,
        other => other.len_utf8(),
    };
    if text.chars().map(bytes).sum::<usize>() <= room {
        return text.to_owned();
    }
    let Some(room) = room.checked_sub(CUT.len()) else {
        return String::new();
    };
    let mut used = 0;
    let fits = |&c: &char| {
        used += bytes(c);
        used <= room
    };
    let mut kept: String = text.chars().take_while(fits).collect();
    kept += CUT;
    kept
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use soci_format::digest::Digest;
    use soci_index::report::{LayerCounts, Outcome};

    use super::*;
    use crate::event::Incoming;

    fn context() -> RequestContext {
        let text = include_str!("../tests/events/update.json");
        Incoming::parse(serde_json::from_str(text).unwrap())
            .unwrap()
            .event
            .context
    }

    fn parsed(response: &Response) -> Value {
        serde_json::from_str(&response.body()).unwrap()
    }

    #[test]
    fn a_failure_says_why_and_keeps_the_id() {
        let response = parsed(&Response::failed(
            &context(),
            "no image",
            Some("https://log"),
        ));
        assert_eq!(response["Status"], "FAILED");
        assert_eq!(response["Reason"], "no image (log: https://log)");
        assert_eq!(
            response["PhysicalResourceId"],
            context().physical_id.unwrap()
        );
        assert_eq!(
            response["RequestId"],
            "5c7e5f0a-1111-4222-8333-444455556666"
        );
        assert_eq!(response["LogicalResourceId"], "Index");
        assert!(response.get("Data").is_none());
    }

    #[test]
    fn the_log_has_the_attributes_of_a_success() {
        let digest = Digest::of(b"");
        let done = IndexResult {
            outcome: Outcome::NothingToIndex,
            input: Some(digest),
            output: digest,
            output_tag: "v1-soci".to_owned(),
            layers: LayerCounts::default(),
            bytes_read: 7,
            build_id: None,
            id: PhysicalId::V2 {
                repository: "app".to_owned(),
                tag: "v1-soci".to_owned(),
                output: digest,
            },
        };
        let line = Response::done(&context(), &done).log_line();
        assert!(line.starts_with("SUCCESS "), "{line}");
        for attribute in [
            " Outcome=nothing-to-index",
            " OutputImageTag=v1-soci",
            " BytesRead=7",
        ] {
            assert!(line.contains(attribute), "{line}");
        }
        let failed = Response::failed(&context(), "no image", None);
        assert_eq!(failed.log_line(), "FAILED no image");
    }

    #[test]
    fn a_failed_create_gets_a_marker_id() {
        let context = RequestContext {
            physical_id: None,
            ..context()
        };
        let response = parsed(&Response::failed(&context, "", None));
        assert_eq!(
            response["PhysicalResourceId"],
            "not-created/5c7e5f0a-1111-4222-8333-444455556666"
        );
        assert_eq!(response["Reason"], "failed: no reason was given");
    }

    #[test]
    fn the_body_contains_no_response_url() {
        let body = Response::failed(&context(), "why", None).body();
        assert!(
            !body.contains("c0ffee") && !body.contains("ResponseURL"),
            "{body}"
        );
        assert_eq!(
            json!(null),
            parsed(&Response::deleted(&context(), ""))["Reason"]
        );
    }

    #[test]
    fn a_reason_without_a_link_fits_too() {
        let body = Response::failed(&context(), &"x".repeat(5_000), None).body();
        assert_eq!(body.len(), BYTES_MAX);
    }

    proptest! {
        // Long texts are slow to make up; a hundred have all that can go wrong.
        #![proptest_config(ProptestConfig::with_cases(100))]
        #[test]
        fn any_reason_fits_and_keeps_the_link(
            reason in "(\\PC|[\"\\\\\u{0}-\u{1f}]|💥){0,5000}",
            link in "https://[a-z#$/=&\"-]{0,600}",
        ) {
            let response = Response::failed(&context(), &reason, Some(&link));
            let body = response.body();
            prop_assert!(body.len() <= BYTES_MAX, "{} bytes", body.len());
            let text = parsed(&response)["Reason"].as_str().unwrap().to_owned();
            prop_assert!(text.ends_with(&format!(" (log: {link})")), "{text}");
            prop_assert!(!text.contains(char::is_control));
            // Nothing is cut that would have fitted.
            prop_assert!(!text.contains(CUT) || reason.contains(CUT) || body.len() > BYTES_MAX - 8);
        }
    }
}
