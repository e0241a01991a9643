//! Events: CloudFormation's request, or our own continuation of one. Parsing only.
//! In: the payload of an invocation. Out: what is asked for, by whom, and where the answer goes. A payload that cannot be read is
//! still answered where it says where to.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use serde_json::{Map, Value, json};

use crate::response_url::ResponseUrl;

/// The one key of a continuation; CloudFormation's events have none like it.
const CONTINUATION: &str = "SociIndexBuildContinuation";

/// Properties as CloudFormation sends them.
pub type RawProperties = Map<String, Value>;

/// What an invocation is about.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The request.
    pub event: Event,
    /// What an earlier invocation knew; none where this is the first.
    pub resumed: Option<Resumed>,
}

/// A request of CloudFormation.
#[derive(Clone, Debug)]
pub struct Event {
    /// What is asked for.
    pub kind: Kind,
    /// Who asks.
    pub sender: Sender,
    raw: Raw,
}

/// What is asked for.
#[derive(Clone, Debug)]
pub enum Kind {
    /// A new resource.
    Create(RawProperties),
    /// A resource with other properties.
    Update {
        /// The properties from now on.
        new: RawProperties,
        /// Those until now.
        old: RawProperties,
    },
    /// No resource any more.
    Delete(RawProperties),
}

/// Who asks, and where the answer goes.
#[derive(Clone, Debug)]
pub struct Sender {
    /// The stack.
    pub stack_id: String,
    /// The resource's name in the template.
    pub logical_id: String,
    /// The request's own id.
    pub request_id: String,
    /// The resource as we named it; none on Create.
    pub physical_id: Option<String>,
    /// Where the answer goes.
    pub response_url: ResponseUrl,
}

/// What an invocation hands over to the next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resumed {
    /// The build to watch, where there is one.
    pub build_id: Option<String>,
    /// When the event was made.
    pub made: SystemTime,
    /// When there must be an answer.
    pub answer_by: SystemTime,
    /// Until when to be patient with what must become ready.
    pub patient_until: SystemTime,
    /// Until when to ask for a build that is refused, while none of the project runs.
    pub start_by: SystemTime,
}

/// A payload that cannot be read.
#[derive(Debug)]
pub struct Unreadable {
    /// Who is to be told, where the payload says it.
    pub sender: Option<Box<Sender>>,
    /// What is wrong with it; nothing secret.
    pub why: String,
}

/// The event as it came; holds the address of the answer.
#[derive(Clone)]
struct Raw(Value);

impl fmt::Debug for Raw {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("…")
    }
}

impl Incoming {
    /// Reads a payload.
    ///
    /// # Errors
    /// Where it is no event, or one of an unknown kind.
    pub fn parse(payload: Value) -> Result<Self, Unreadable> {
        let Value::Object(mut fields) = payload else {
            return Err(Unreadable::by_nobody("the event is no JSON object"));
        };
        let Some(continuation) = fields.remove(CONTINUATION) else {
            let event = Event::parse(fields)?;
            return Ok(Self {
                event,
                resumed: None,
            });
        };
        let Value::Object(mut continuation) = continuation else {
            return Err(Unreadable::by_nobody("the continuation is no JSON object"));
        };
        let Some(Value::Object(event)) = continuation.remove("event") else {
            return Err(Unreadable::by_nobody("the continuation has no event"));
        };
        let event = Event::parse(event)?;
        let time = |name: &str| {
            let millis = continuation.get(name).and_then(Value::as_u64)?;
            UNIX_EPOCH.checked_add(Duration::from_millis(millis))
        };
        let times = (time("made"), time("answerBy"), time("patientUntil"));
        let (Some(made), Some(answer_by), Some(patient_until)) = times else {
            return Err(Unreadable {
                sender: Some(Box::new(event.sender)),
                why: "the continuation has no deadline".to_owned(),
            });
        };
        // One of an earlier version of this function has none.
        let start_by = time("startBy").unwrap_or(patient_until);
        let build_id = continuation.get("buildId").and_then(Value::as_str);
        Ok(Self {
            event,
            resumed: Some(Resumed {
                build_id: build_id.map(str::to_owned),
                made,
                answer_by,
                patient_until,
                start_by,
            }),
        })
    }
}

impl Event {
    fn parse(fields: Map<String, Value>) -> Result<Self, Unreadable> {
        let sender = Sender::parse(&fields)?;
        let refuse = |why| {
            Err(Unreadable {
                sender: Some(Box::new(sender.clone())),
                why,
            })
        };
        let missing = [
            ("StackId", &sender.stack_id),
            ("LogicalResourceId", &sender.logical_id),
            ("RequestId", &sender.request_id),
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
                if sender.physical_id.is_none() {
                    return refuse("the Update has no PhysicalResourceId".to_owned());
                }
                // Only a hint of what can be used again; without it, all is read.
                let old = properties("OldResourceProperties").unwrap_or_default();
                Kind::Update { new, old }
            }
            // Without properties there is less to delete, but a stack must go.
            (Some("Delete"), new) => Kind::Delete(new.unwrap_or_default()),
            (Some("Create" | "Update"), None) => {
                return refuse("the event has no ResourceProperties".to_owned());
            }
            (Some(other), _) => {
                return refuse(format!(
                    "the RequestType {other:?} is unknown; known are Create, Update and Delete"
                ));
            }
            (None, _) => return refuse("the event has no RequestType".to_owned()),
        };
        Ok(Self {
            kind,
            sender,
            raw: Raw(Value::Object(fields)),
        })
    }

    /// The payload by which another invocation goes on with this event.
    #[must_use]
    pub fn continuation(&self, resumed: &Resumed) -> Value {
        let millis = |time: SystemTime| {
            let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        };
        json!({ CONTINUATION: {
            "event": self.raw.0,
            "buildId": resumed.build_id,
            "made": millis(resumed.made),
            "answerBy": millis(resumed.answer_by),
            "patientUntil": millis(resumed.patient_until),
            "startBy": millis(resumed.start_by),
        } })
    }

    /// The properties from now on.
    #[must_use]
    pub fn properties(&self) -> &RawProperties {
        match &self.kind {
            Kind::Create(new) | Kind::Update { new, .. } | Kind::Delete(new) => new,
        }
    }
}

impl Sender {
    fn parse(fields: &Map<String, Value>) -> Result<Self, Unreadable> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str).map(str::to_owned);
        let Some(response_url) = text("ResponseURL").and_then(|url| ResponseUrl::parse(&url))
        else {
            return Err(Unreadable::by_nobody("the event has no ResponseURL"));
        };
        Ok(Self {
            stack_id: text("StackId").unwrap_or_default(),
            logical_id: text("LogicalResourceId").unwrap_or_default(),
            request_id: text("RequestId").unwrap_or_default(),
            physical_id: text("PhysicalResourceId").filter(|id| !id.is_empty()),
            response_url,
        })
    }

    /// The resource's name for builds: the same for all of its requests.
    #[must_use]
    pub fn resource(&self) -> String {
        format!("{}/{}", self.stack_id, self.logical_id)
    }
}

impl Unreadable {
    fn by_nobody(why: &str) -> Self {
        Self {
            sender: None,
            why: why.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Incoming, Unreadable> {
        Incoming::parse(serde_json::from_str(text).unwrap())
    }

    macro_rules! file {
        ($name:literal) => {
            include_str!(concat!("../tests/events/", $name, ".json"))
        };
    }

    #[test]
    fn each_kind_is_read() {
        let create = read(file!("create")).unwrap().event;
        assert!(matches!(&create.kind, Kind::Create(new) if new["InputImageTag"] == "v1"));
        assert_eq!(create.sender.physical_id, None);
        assert_eq!(
            create.sender.resource(),
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
                .sender
                .physical_id
                .unwrap()
                .starts_with("team/app:v1-soci@")
        );
    }

    #[test]
    fn a_continuation_reads_back_with_the_whole_event() {
        let incoming = read(file!("continuation")).unwrap();
        let resumed = incoming.resumed.unwrap();
        assert_eq!(resumed.build_id.as_deref(), Some("builder:0a1b"));
        assert_eq!(resumed.answer_by, resumed.made + Duration::from_secs(3_300));
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
    fn what_cannot_be_read_says_why_and_to_whom() {
        for (text, why) in [
            (file!("unknown-kind"), "\"Rename\" is unknown"),
            (file!("no-properties"), "no ResourceProperties"),
            (file!("no-request-id"), "no RequestId"),
        ] {
            let unreadable = read(text).unwrap_err();
            assert!(unreadable.why.contains(why), "{}", unreadable.why);
            assert_eq!(unreadable.sender.unwrap().logical_id, "Index");
        }
        for (text, why) in [
            (file!("no-response-url"), "no ResponseURL"),
            ("7", "no JSON object"),
            (r#"{"SociIndexBuildContinuation":{}}"#, "no event"),
        ] {
            let unreadable = read(text).unwrap_err();
            assert!(unreadable.why.contains(why), "{}", unreadable.why);
            assert!(unreadable.sender.is_none());
        }
    }

    #[test]
    fn a_delete_without_properties_is_one() {
        let mut event: Value = serde_json::from_str(file!("delete")).unwrap();
        event["ResourceProperties"].take();
        let event = Incoming::parse(event).unwrap().event;
        assert!(event.properties().is_empty());
    }

    #[test]
    fn nothing_that_is_printed_is_secret() {
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
