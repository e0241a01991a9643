//! CloudFormation's stacks, asked as a user would. In: a stack's name; a template. Out: its state, events, outputs, resources.

use std::{collections::BTreeMap, fmt, time::Duration};

use aws_sdk_ecr::primitives::{DateTime, DateTimeFormat};
use roxmltree::Node;

use super::{
    Error,
    query::{Query, members, text},
};

/// Between two looks at a stack that is being made.
const PAUSE: Duration = Duration::from_millis(50);

/// The account's stacks.
#[derive(Clone, Debug)]
pub struct Stacks {
    query: Query,
}

/// One thing that happened to a resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// The resource's logical id; the stack's own name for the stack.
    pub resource: String,
    /// Its type.
    pub kind: String,
    /// Its state since then.
    pub status: String,
    /// Why, where it is told.
    pub reason: Option<String>,
}

impl Stacks {
    pub(super) fn new(query: Query) -> Self {
        Self { query }
    }

    /// Makes a stack of a template without the CLI, and waits until that has ended, well or not.
    ///
    /// # Errors
    /// CloudFormation rejects the template.
    pub async fn create(
        &self,
        stack: &str,
        template: &str,
        parameters: &[(&str, &str)],
    ) -> Result<(), Error> {
        let mut form: Vec<_> = [
            ("StackName", stack),
            ("TemplateBody", template),
            ("Capabilities.member.1", "CAPABILITY_IAM"),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into();
        for (number, (key, value)) in (1..).zip(parameters) {
            let member = format!("Parameters.member.{number}.Parameter");
            form.push((format!("{member}Key"), key));
            form.push((format!("{member}Value"), value));
        }
        let form = form.iter().map(|(name, value)| (name.as_str(), *value));
        self.query.call("CreateStack", form, |_| ()).await?;
        let is_changing = |status: String| status.ends_with("_IN_PROGRESS");
        while self.status(stack).await.is_some_and(is_changing) {
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// The stack's state (`CREATE_COMPLETE`); nothing when there is no such stack.
    pub async fn status(&self, stack: &str) -> Option<String> {
        let name = [("StackName", stack)];
        let status = self.query.call("DescribeStacks", name, |found| {
            members(found, "Stacks").next().and_then(status_of)
        });
        status.await.ok().flatten()
    }

    /// Names of all stacks that are there.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn names(&self) -> Result<Vec<String>, Error> {
        let names = self.query.call("DescribeStacks", [], |found| {
            members(found, "Stacks")
                .filter(|stack| status_of(*stack).is_some())
                .filter_map(|stack| text(stack, "StackName"))
                .collect()
        });
        names.await
    }

    /// The stack's outputs.
    pub async fn outputs(&self, stack: &str) -> BTreeMap<String, String> {
        let name = [("StackName", stack)];
        let outputs = self.query.call("DescribeStacks", name, |found| {
            members(found, "Outputs")
                .filter_map(|output| {
                    Some((text(output, "OutputKey")?, text(output, "OutputValue")?))
                })
                .collect()
        });
        outputs.await.unwrap_or_default()
    }

    /// What happened, oldest first.
    ///
    /// # Errors
    /// There is no such stack.
    pub async fn events(&self, stack: &str) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        let mut next = None;
        loop {
            let mut parameters = vec![("StackName", stack)];
            parameters.extend(next.as_deref().map(|token| ("NextToken", token)));
            let page = self.query.call("DescribeStackEvents", parameters, |found| {
                let events: Vec<_> = members(found, "StackEvents").map(Event::of).collect();
                (events, text(found, "NextToken"))
            });
            let (page, token) = page.await?;
            events.extend(page);
            next = token;
            if next.is_none() {
                break;
            }
        }
        events.reverse();
        Ok(events)
    }

    /// Logical id, type and physical id of what is there.
    pub async fn resources(&self, stack: &str) -> Vec<(String, String, String)> {
        let name = [("StackName", stack)];
        let rows = self.query.call("DescribeStackResources", name, |found| {
            let resources = members(found, "StackResources");
            let row = |resource| {
                let value = |name| text(resource, name).unwrap_or_default();
                (value("ResourceStatus") != "DELETE_COMPLETE").then(|| {
                    let (id, kind) = (value("LogicalResourceId"), value("ResourceType"));
                    (id, kind, value("PhysicalResourceId"))
                })
            };
            resources.filter_map(row).collect()
        });
        rows.await.unwrap_or_default()
    }

    /// Physical ids of the stack's resources of one type.
    pub async fn physical_ids(&self, stack: &str, kind: &str) -> Vec<String> {
        let found = self.resources(stack).await.into_iter();
        found.filter(|row| row.1 == kind).map(|row| row.2).collect()
    }
}

/// The stack's state, if it is not deleted.
fn status_of(stack: Node<'_, '_>) -> Option<String> {
    text(stack, "StackStatus").filter(|status| status != "DELETE_COMPLETE")
}

impl Event {
    fn of(event: Node<'_, '_>) -> Self {
        let value = |name| text(event, name).unwrap_or_default();
        let at = DateTime::from_str(&value("Timestamp"), DateTimeFormat::DateTime).ok();
        Self {
            at_ms: at.and_then(|at| at.to_millis().ok()).unwrap_or_default(),
            resource: value("LogicalResourceId"),
            kind: value("ResourceType"),
            status: value("ResourceStatus"),
            reason: text(event, "ResourceStatusReason"),
        }
    }
}

impl fmt::Display for Event {
    /// `12:34:56.789  CREATE_COMPLETE  AWS::ECS::Service  Service`, the time in UTC.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, ms) = (self.at_ms.div_euclid(1000), self.at_ms.rem_euclid(1000));
        let (hours, minutes) = (seconds / 3600 % 24, seconds / 60 % 60);
        write!(
            formatter,
            "{hours:02}:{minutes:02}:{:02}.{ms:03}  ",
            seconds % 60
        )?;
        write!(
            formatter,
            "{:<19} {:<34} {}",
            self.status, self.kind, self.resource
        )?;
        match &self.reason {
            Some(reason) => write!(formatter, "  ({reason})"),
            None => Ok(()),
        }
    }
}
