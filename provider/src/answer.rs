//! The answer: what CloudFormation gets, as JSON within its limit.
//! In: who asked, and the resource or the reason why there is none. Out: the body. Sends nothing.

use serde::Serialize;
use serde_json::{Map, Value};

use soci_format::printable::one_line;

use crate::{event::Sender, physical_id::PhysicalId, verdict::Done};

/// CloudFormation's limit for the body.
pub const BYTES_MAX: usize = 4_096;

/// CodeBuild's links have some 200 bytes. One that took the room of all else would be worse than none.
const LINK_BYTES_MAX: usize = 1_024;

/// Stands where something was cut off.
const CUT: &str = "…";

/// An answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Answer {
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

impl Answer {
    /// The resource is there.
    #[must_use]
    pub fn done(sender: &Sender, done: &Done) -> Self {
        let id = match &sender.physical_id {
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
            ("Outcome", done.outcome.clone()),
            ("BuildId", done.build_id.clone().unwrap_or_default()),
            ("LayersIndexed", done.layers.indexed.to_string()),
            ("LayersReused", done.layers.reused.to_string()),
            ("BytesRead", done.bytes_read.to_string()),
        ];
        let data = attributes.map(|(name, value)| (name.to_owned(), Value::String(value)));
        Self {
            data: data.into_iter().collect(),
            ..Self::of(sender, "SUCCESS", id)
        }
    }

    /// The resource is there as far as it is waited for; `note` says what is not known of it.
    #[must_use]
    pub fn started(sender: &Sender, done: &Done, note: &str) -> Self {
        Self::done(sender, done).because(note, None)
    }

    /// The resource is gone; `note` says what of it is not.
    #[must_use]
    pub fn deleted(sender: &Sender, note: &str) -> Self {
        Self::of(sender, "SUCCESS", old_id(sender)).because(note, None)
    }

    /// There is no resource, or none like that; the link is kept whole.
    #[must_use]
    pub fn failed(sender: &Sender, reason: &str, link: Option<&str>) -> Self {
        // CloudFormation refuses a failure without a reason.
        let reason = if reason.trim().is_empty() {
            "it failed without a reason"
        } else {
            reason
        };
        Self::of(sender, "FAILED", old_id(sender)).because(reason, link)
    }

    fn of(sender: &Sender, status: &'static str, id: String) -> Self {
        Self {
            status,
            reason: String::new(),
            physical_resource_id: id,
            stack_id: sender.stack_id.clone(),
            request_id: sender.request_id.clone(),
            logical_resource_id: sender.logical_id.clone(),
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
        // An empty reason has no field in the body.
        let field = if self.reason.is_empty() {
            r#","Reason":"""#.len()
        } else {
            0
        };
        let room = BYTES_MAX.saturating_sub(self.body().len() + field);
        self.reason.insert_str(0, &cut(&one_line(reason), room));
        self
    }

    /// The answer as JSON.
    #[must_use]
    pub fn body(&self) -> String {
        // Texts and maps of texts cannot fail to be written.
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Whether there is a reason, and what it is.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// `SUCCESS` or `FAILED`.
    #[must_use]
    pub fn status(&self) -> &str {
        self.status
    }
}

/// The id that the resource has, or one that says that it never came to be.
fn old_id(sender: &Sender) -> String {
    let old = sender.physical_id.clone();
    old.unwrap_or_else(|| PhysicalId::not_created(&sender.request_id))
}

/// The beginning of `text` that takes at most `room` bytes in JSON. Control characters are not expected.
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

    use super::*;
    use crate::event::Incoming;

    fn sender() -> Sender {
        let text = include_str!("../tests/events/update.json");
        Incoming::parse(serde_json::from_str(text).unwrap())
            .unwrap()
            .event
            .sender
    }

    fn parsed(answer: &Answer) -> Value {
        serde_json::from_str(&answer.body()).unwrap()
    }

    #[test]
    fn a_failure_says_why_and_keeps_the_id() {
        let answer = parsed(&Answer::failed(&sender(), "no image", Some("https://log")));
        assert_eq!(answer["Status"], "FAILED");
        assert_eq!(answer["Reason"], "no image (log: https://log)");
        assert_eq!(answer["PhysicalResourceId"], sender().physical_id.unwrap());
        assert_eq!(answer["RequestId"], "5c7e5f0a-1111-4222-8333-444455556666");
        assert_eq!(answer["LogicalResourceId"], "Index");
        assert!(answer.get("Data").is_none());
    }

    #[test]
    fn a_failed_create_has_a_marker_for_an_id() {
        let sender = Sender {
            physical_id: None,
            ..sender()
        };
        let answer = parsed(&Answer::failed(&sender, "", None));
        assert_eq!(
            answer["PhysicalResourceId"],
            "not-created/5c7e5f0a-1111-4222-8333-444455556666"
        );
        assert_eq!(answer["Reason"], "it failed without a reason");
    }

    #[test]
    fn the_secret_is_not_in_it() {
        let body = Answer::failed(&sender(), "why", None).body();
        assert!(
            !body.contains("c0ffee") && !body.contains("ResponseURL"),
            "{body}"
        );
        assert_eq!(
            json!(null),
            parsed(&Answer::deleted(&sender(), ""))["Reason"]
        );
    }

    #[test]
    fn a_reason_without_a_link_fits_too() {
        let body = Answer::failed(&sender(), &"x".repeat(5_000), None).body();
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
            let answer = Answer::failed(&sender(), &reason, Some(&link));
            let body = answer.body();
            prop_assert!(body.len() <= BYTES_MAX, "{} bytes", body.len());
            let text = parsed(&answer)["Reason"].as_str().unwrap().to_owned();
            prop_assert!(text.ends_with(&format!(" (log: {link})")), "{text}");
            prop_assert!(!text.contains(char::is_control));
            // Nothing is cut that would have fitted.
            prop_assert!(!text.contains(CUT) || reason.contains(CUT) || body.len() > BYTES_MAX - 8);
        }
    }
}
