//! Events of the on-push function: ECR's, as EventBridge delivers them, our own, and records of failed invocations from a queue. Parsing only.
//! In: the payload of an invocation. Out: what to do. An event about something else is no error, one that cannot be read is.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use soci_format::{digest::Digest, oci::is_tag};

use crate::failed_invocation::FailedInvocation;

/// What an invocation is for.
#[derive(Clone, Debug)]
pub enum Incoming {
    /// An image was pushed.
    Image(Pushed),
    /// Something else happened.
    Other(Other),
    /// Index images that are there already.
    Backfill(Backfill),
    /// Events that failed before.
    Redrive(Vec<Incoming>),
}

/// A pushed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    /// The repository's name.
    pub repository: String,
    /// The image's tag; it has none where it was pushed by digest.
    pub tag: Option<String>,
    /// Its digest.
    pub digest: Digest,
    /// The account where it was pushed, if the event says so.
    pub account: Option<String>,
    /// The region.
    pub region: Option<String>,
}

/// An event about something else than a pushed image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Other {
    /// The repository's name, if there is one.
    pub repository: Option<String>,
    /// What happened.
    pub why: String,
}

/// Which images to index that are there already.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Backfill {
    /// The repositories, with `*`.
    pub repository: String,
    /// Their tags, with `*`.
    #[serde(default = "any")]
    pub tags: String,
    /// Only so many images of each repository, those that were pushed last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub newest: Option<usize>,
    /// Whether only to say what would be indexed.
    #[serde(default)]
    pub dry_run: bool,
    /// How far the invocations before this one came.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resumed: Option<Resumed>,
}

/// How far a backfill has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Resumed {
    /// When it began, in milliseconds since 1970. Images that were pushed later have their own event.
    pub begun: u64,
    /// The repository that it came to.
    pub repository: String,
    /// The last tag there for which the function was invoked, if it was.
    pub tag: Option<String>,
    /// For how many images the function was invoked.
    pub images: usize,
}

fn any() -> String {
    "*".to_owned()
}

impl Incoming {
    /// Parses a payload.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(payload: Value) -> Result<Self, String> {
        let Value::Object(mut fields) = payload else {
            return Err("the event is not a JSON object".to_owned());
        };
        match fields.remove("Records") {
            Some(Value::Array(records)) => {
                let records = records.iter().map(redriven);
                records.collect::<Result<_, _>>().map(Self::Redrive)
            }
            Some(_) => Err("Records is not a list".to_owned()),
            None => Self::one(fields),
        }
    }

    /// Anything but a batch.
    fn one(mut fields: Map<String, Value>) -> Result<Self, String> {
        if let Some((payload, _)) = FailedInvocation::parse(&mut fields) {
            return match payload {
                Value::Object(fields) => Self::one(fields),
                _ => Err("the failed invocation's payload is not a JSON object".to_owned()),
            };
        }
        if let Some(backfill) = fields.remove("backfill") {
            let backfill: Backfill = serde_json::from_value(backfill)
                .map_err(|error| format!("backfill is invalid: {error}"))?;
            return match backfill.newest {
                Some(0) => Err("backfill is invalid: newest is 0, expected 1 or more".to_owned()),
                _ => Ok(Self::Backfill(backfill)),
            };
        }
        if let Some(image) = fields.get("backfillImage") {
            let of = |name| text(image, "backfillImage", name);
            return Ok(Self::Image(Pushed {
                account: None,
                region: None,
                ..pushed(of("repository")?, of("tag")?, of("digest")?)?
            }));
        }
        Self::from_ecr(&Value::Object(fields))
    }

    fn from_ecr(event: &Value) -> Result<Self, String> {
        let of = |name| text(event, "the event", name);
        let (source, kind) = (of("source")?, of("detail-type")?);
        let expected = match (source.as_deref(), kind.as_deref()) {
            (Some("aws.ecr"), Some("ECR Image Action")) => "PUSH",
            (Some("aws.ecr"), Some("ECR Replication Action")) => "REPLICATE",
            (Some(source), Some(kind)) => {
                return Ok(Self::Other(Other {
                    repository: None,
                    why: format!("not an event of pushed images: {source}, {kind}"),
                }));
            }
            _ => {
                let known = "an event of ECR, backfill, backfillImage or Records";
                return Err(format!("unknown event: expected {known}"));
            }
        };
        let detail = &event["detail"];
        let detail_of = |name| text(detail, "detail", name);
        let repository = detail_of("repository-name")?;
        let action = detail_of("action-type")?.ok_or("detail has no action-type")?;
        let result = detail_of("result")?.ok_or("detail has no result")?;
        if action != expected || result != "SUCCESS" {
            let why = format!("not a pushed image: action {action:?}, result {result:?}");
            return Ok(Self::Other(Other { repository, why }));
        }
        Ok(Self::Image(Pushed {
            account: of("account")?,
            region: of("region")?,
            ..pushed(
                repository,
                detail_of("image-tag")?,
                detail_of("image-digest")?,
            )?
        }))
    }
}

impl Pushed {
    /// The payload with which the function is invoked for this image.
    #[must_use]
    pub fn backfill_image(repository: &str, tag: &str, digest: &Digest) -> Value {
        json!({"backfillImage": {"repository": repository, "tag": tag, "digest": digest}})
    }
}

impl Backfill {
    /// The payload with which another invocation continues it.
    #[must_use]
    pub fn continuation(&self, resumed: Resumed) -> Value {
        let backfill = Self {
            resumed: Some(resumed),
            ..self.clone()
        };
        json!({"backfill": backfill})
    }
}

/// An event from a queue: Lambda's record of an invocation that failed, or an event that EventBridge could not deliver.
fn redriven(record: &Value) -> Result<Incoming, String> {
    let body = text(record, "the queue's message", "body")?;
    let body = body.ok_or("the queue's message has no body")?;
    match serde_json::from_str(&body) {
        Ok(Value::Object(fields)) => Incoming::one(fields),
        _ => Err("the body of the queue's message is not a JSON object".to_owned()),
    }
}

fn pushed(
    repository: Option<String>,
    tag: Option<String>,
    digest: Option<String>,
) -> Result<Pushed, String> {
    let repository = repository.ok_or("the event has no repository")?;
    let digest = digest.ok_or("the event has no image digest")?;
    if let Some(tag) = tag.as_deref().filter(|tag| !is_tag(tag)) {
        return Err(format!("{tag:?} is not a valid tag"));
    }
    let is_invalid =
        |_| format!("{digest:?} is not a digest: expected sha256:<64 lowercase hex digits>");
    Ok(Pushed {
        repository,
        tag,
        digest: digest.parse().map_err(is_invalid)?,
        account: None,
        region: None,
    })
}

/// A text; null and the empty one are none.
fn text(of: &Value, what: &str, name: &str) -> Result<Option<String>, String> {
    match &of[name] {
        Value::Null => Ok(None),
        Value::String(text) => Ok(Some(text.clone()).filter(|text| !text.is_empty())),
        _ => Err(format!("{name} in {what} is not a string")),
    }
}
