//! Events: a CloudFormation request, our own continuation of one, or Lambda's record of a failed invocation with one. Parsing only.
//! In: the payload of an invocation. Out: the request and its context. An invalid event
//! still gets a response if it contains a response URL.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

use crate::{failed_invocation::FailedInvocation, response_url::ResponseUrl};

/// The only key of a continuation; CloudFormation events do not have it.
const CONTINUATION: &str = "SociIndexBuildContinuation";

/// Properties as CloudFormation sends them.
pub type RawProperties = Map<String, Value>;

/// The parsed payload of an invocation.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The request.
    pub event: Event,
    /// State of the previous invocation; `None` in the first one.
    pub resumed: Option<Resumed>,
}

/// A CloudFormation request.
#[derive(Clone, Debug)]
pub struct Event {
    /// The request type and its properties.
    pub kind: Kind,
    /// The request context.
    pub context: RequestContext,
    raw: Raw,
}

/// The request type and its properties.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A new resource.
    Create(RawProperties),
    /// A resource with other properties.
    Update {
        /// The new properties.
        new: RawProperties,
        /// The old properties.
        old: RawProperties,
    },
    /// Deletes the resource.
    Delete(RawProperties),
}

/// The ids of a request, and its response URL.
#[derive(Clone, Debug)]
pub struct RequestContext {
    /// The stack.
    pub stack_id: String,
    /// The logical resource id.
    pub logical_id: String,
    /// The request id.
    pub request_id: String,
    /// The physical resource id; `None` on Create.
    pub physical_id: Option<String>,
    /// The response URL.
    pub response_url: ResponseUrl,
}

/// The state that an invocation passes to the next one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The build to watch, if any.
    pub build_id: Option<String>,
    /// When CloudFormation created the event.
    pub made: SystemTime,
    /// The deadline for the response.
    pub respond_by: SystemTime,
    /// Until when failed calls are retried.
    pub retry_until: SystemTime,
    /// Until when a rejected StartBuild is retried while no build of the project runs.
    pub start_by: SystemTime,
    /// The invocation of the builder function that failed with this event, if one did.
    pub failed: Option<FailedInvocation>,
}

/// A payload that cannot be parsed.
#[derive(Debug)]
pub struct InvalidEvent {
    /// Where to respond, if the payload contains it.
    pub context: Option<Box<RequestContext>>,
    /// What is wrong; contains no secret.
    pub why: String,
}

/// The original event; contains the response URL.
#[derive(Clone)]
struct Raw(Value);

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Incoming {
    /// Parses a payload.
    ///
    /// # Errors
    /// If it is not an event, or has an unknown request type.
    pub fn parse(payload: Value) -> Result<Self, InvalidEvent> {
        let Value::Object(mut fields) = payload else {
            return Err(InvalidEvent::without_context(
                "the event is not a JSON object",
            ));
        };
        if let Some((payload, failed)) = FailedInvocation::parse(&mut fields) {
            return Self::after_failure(payload, failed);
        }
        let Some(continuation) = fields.remove(CONTINUATION) else {
            let event = Event::parse(fields)?;
            return Ok(Self {
                event,
                resumed: None,
            });
        };
        let Value::Object(mut continuation) = continuation else {
            return Err(InvalidEvent::without_context(
                "the continuation is not a JSON object",
            ));
        };
        let Some(Value::Object(event)) = continuation.remove("event") else {
            return Err(InvalidEvent::without_context(
                "the continuation has no event",
            ));
        };
        let event = Event::parse(event)?;
        let time = |name: &str| {
            let millis = continuation.get(name).and_then(Value::as_u64)?;
            UNIX_EPOCH.checked_add(Duration::from_millis(millis))
        };
        let times = (time("made"), time("answerBy"), time("patientUntil"));
        let (Some(made), Some(respond_by), Some(retry_until)) = times else {
            return Err(InvalidEvent {
                context: Some(Box::new(event.context)),
                why: "the continuation has no deadline".to_owned(),
            });
        };
        // Missing in continuations of earlier versions of this function.
        let start_by = time("startBy").unwrap_or(retry_until);
        let build_id = continuation.get("buildId").and_then(Value::as_str);
        let failed = continuation.get("failed").cloned();
        Ok(Self {
            event,
            resumed: Some(Resumed {
                build_id: build_id.map(str::to_owned),
                made,
                respond_by,
                retry_until,
                start_by,
                failed: failed.and_then(|failed| serde_json::from_value(failed).ok()),
            }),
        })
    }

    /// The builder function is only invoked with continuations.
    fn after_failure(payload: Value, failed: FailedInvocation) -> Result<Self, InvalidEvent> {
        if payload.get(CONTINUATION).is_none() {
            return Err(InvalidEvent::without_context(
                "the failed invocation's payload is not a continuation",
            ));
        }
        let incoming = Self::parse(payload)?;
        let resumed = incoming.resumed.map(|resumed| Resumed {
            failed: Some(failed),
            ..resumed
        });
        Ok(Self {
            resumed,
            ..incoming
        })
    }
}

impl Event {
    fn parse(fields: Map<String, Value>) -> Result<Self, InvalidEvent> {
        let context = RequestContext::parse(&fields)?;
        let refuse = |why| {
            Err(InvalidEvent {
                context: Some(Box::new(context.clone())),
                why,
            })
        };
        let missing = [
            ("StackId", &context.stack_id),
            ("LogicalResourceId", &context.logical_id),
            ("RequestId", &context.request_id),
        ];
        if let Some((name, _)) = missing.iter().find(|(_, value)| value.is_empty()) {
            return refuse(format!("the event has no {name}"));
        }
        let properties = |name: &str| match fields.get(name) {
            Some(Value::Object(properties)) => Some(properties.clone()),
            _ => None,
        };
        let new = properties("ResourceProperties");
        let kind = match (fields.get("RequestType").and_then(Value::as_str), new) {
            (Some("Create"), Some(new)) => Kind::Create(new),
            (Some("Update"), Some(new)) => {
                if context.physical_id.is_none() {
                    return refuse("the Update has no PhysicalResourceId".to_owned());
                }
                // Only used to find layers to reuse; without it, all layers are read.
                let old = properties("OldResourceProperties").unwrap_or_default();
                Kind::Update { new, old }
            }
            // Without properties less can be deleted, but stack deletion must not fail.
            (Some("Delete"), new) => Kind::Delete(new.unwrap_or_default()),
            (Some("Create" | "Update"), None) => {
                return refuse("the event has no ResourceProperties".to_owned());
            }
            (Some(other), _) => {
                return refuse(format!(
                    "unknown RequestType {other:?}: expected Create, Update or Delete"
                ));
            }
            (None, _) => return refuse("the event has no RequestType".to_owned()),
        };
        Ok(Self {
            kind,
            context,
            raw: Raw(Value::Object(fields)),
        })
    }

    /// The payload with which another invocation continues this event.
    #[must_use]
    pub fn continuation(&self, resumed: &Resumed) -> Value {
        let millis = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        let mut payload = json!({ CONTINUATION: {
            "event": self.raw.0,
            "buildId": resumed.build_id,
            "made": millis(resumed.made),
            "answerBy": millis(resumed.respond_by),
            "patientUntil": millis(resumed.retry_until),
            "startBy": millis(resumed.start_by),
        } });
        if let Some(failed) = &resumed.failed {
            payload[CONTINUATION]["failed"] = json!(failed);
        }
        payload
    }

    /// The new properties.
    #[must_use]
    pub fn properties(&self) -> &RawProperties {
        match &self.kind {
            Kind::Create(new) | Kind::Update { new, .. } | Kind::Delete(new) => new,
        }
    }
}

impl RequestContext {
    fn parse(fields: &Map<String, Value>) -> Result<Self, InvalidEvent> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(response_url) = text("ResponseURL").and_then(|url| ResponseUrl::parse(&url))
        else {
            return Err(InvalidEvent::without_context(
                "the event has no ResponseURL",
            ));
        };
        Ok(Self {
            stack_id: text("StackId").unwrap_or_default(),
            logical_id: text("LogicalResourceId").unwrap_or_default(),
            request_id: text("RequestId").unwrap_or_default(),
            physical_id: text("PhysicalResourceId").filter(|id| !id.is_empty()),
            response_url,
        })
    }

    /// The resource's unique name, the same for all of its requests.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}/{}", self.stack_id, self.logical_id)
    }
}

impl InvalidEvent {
    fn without_context(why: &str) -> Self {
        Self {
            context: None,
            why: why.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Incoming, InvalidEvent> {
        Incoming::parse(serde_json::from_str(text).unwrap())
    }

    macro_rules! file {
        ($name:literal) => {
            include_str!(concat!("../tests/events/", $name, ".json"))
        };
    }

    #[test]
    fn every_request_type_is_parsed() {
        let create = read(file!("create")).unwrap().event;
        assert!(matches!(&create.kind, Kind::Create(new) if new["InputImageTag"] == "v1"));
        assert_eq!(create.context.physical_id, None);
        assert_eq!(
            create.context.resource(),
            "arn:aws:cloudformation:us-east-1:123456789012:stack/Demo/0a1b/Index"
        );
        let update = read(file!("update")).unwrap().event;
        let Kind::Update { new, old } = &update.kind else {
            panic!("{update:?}")
        };
        assert_eq!(
            (&new["InputImageTag"], &old["InputImageTag"]),
            (&json!("v2"), &json!("v1"))
        );
        let delete = read(file!("delete")).unwrap().event;
        assert!(matches!(delete.kind, Kind::Delete(_)));
        assert!(
            delete
                .context
                .physical_id
                .unwrap()
                .starts_with("team/app:v1-soci@")
        );
    }

    #[test]
    fn a_continuation_round_trips_with_the_whole_event() {
        let incoming = read(file!("continuation")).unwrap();
        let resumed = incoming.resumed.unwrap();
        assert_eq!(resumed.build_id.as_deref(), Some("builder:0a1b"));
        assert_eq!(
            resumed.respond_by,
            resumed.made + Duration::from_secs(3_300)
        );
        let again = incoming.event.continuation(&resumed);
        assert_eq!(
            again,
            serde_json::from_str::<Value>(file!("continuation")).unwrap()
        );
        let unknown = Resumed {
            build_id: None,
            ..resumed
        };
        let again = Incoming::parse(incoming.event.continuation(&unknown)).unwrap();
        assert_eq!(again.resumed, Some(unknown));
    }

    #[test]
    fn a_record_of_a_failed_invocation_is_the_continuation_with_it() {
        let continuation: Value = serde_json::from_str(file!("continuation")).unwrap();
        let record = |payload: &Value| {
            Incoming::parse(json!({
                "version": "1.0", "requestPayload": payload, "requestContext": {
                    "requestId": "e4", "condition": "EventAgeExceeded", "functionArn": "arn:aws:lambda:r:1:function:builder:$LATEST",
                },
            }))
        };
        let incoming = record(&continuation).unwrap();
        let resumed = incoming.resumed.unwrap();
        assert_eq!(resumed.failed.as_ref().unwrap().build_id(), "builder/e4");
        // It survives a hand-over.
        let again = Incoming::parse(incoming.event.continuation(&resumed)).unwrap();
        assert_eq!(again.resumed, Some(resumed));
        let foreign = record(&json!({"RequestType": "Create"})).unwrap_err();
        assert!(foreign.why.contains("not a continuation") && foreign.context.is_none());
        let nested = json!({"requestContext": {}, "requestPayload": continuation});
        assert!(record(&nested).is_err());
    }

    #[test]
    fn an_invalid_event_has_a_reason_and_a_context() {
        for (text, why) in [
            (file!("unknown-kind"), "unknown RequestType \"Rename\""),
            (file!("no-properties"), "no ResourceProperties"),
            (file!("no-request-id"), "no RequestId"),
        ] {
            let invalid = read(text).unwrap_err();
            assert!(invalid.why.contains(why), "{}", invalid.why);
            assert_eq!(invalid.context.unwrap().logical_id, "Index");
        }
        for (text, why) in [
            (file!("no-response-url"), "no ResponseURL"),
            ("7", "not a JSON object"),
            (r#"{"SociIndexBuildContinuation":{}}"#, "no event"),
        ] {
            let invalid = read(text).unwrap_err();
            assert!(invalid.why.contains(why), "{}", invalid.why);
            assert!(invalid.context.is_none());
        }
    }

    #[test]
    fn a_delete_without_properties_is_valid() {
        let mut event: Value = serde_json::from_str(file!("delete")).unwrap();
        event["ResourceProperties"].take();
        let event = Incoming::parse(event).unwrap().event;
        assert!(event.properties().is_empty());
    }

    #[test]
    fn debug_output_contains_no_secret() {
        for text in [file!("create"), file!("continuation")] {
            let printed = format!("{:?}", read(text).unwrap());
            assert!(printed.contains("s3.amazonaws.com/…?***"), "{printed}");
            assert!(
                !printed.contains("c0ffee") && !printed.contains("X-Amz"),
                "{printed}"
            );
        }
        let printed = format!("{:?}", read(file!("unknown-kind")).unwrap_err());
        assert!(!printed.contains("c0ffee"), "{printed}");
    }
}
