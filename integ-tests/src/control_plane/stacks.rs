//! CloudFormation's stacks, asked as a user would. In: a stack's name. Out: its state, events, outputs, resources, template.

use std::{collections::BTreeMap, fmt};

use aws_sdk_cloudformation::{
    Client,
    types::{ResourceStatus, Stack, StackEvent, StackResource},
};

use super::Error;

/// The account's stacks.
#[derive(Clone, Debug)]
pub struct Stacks {
    client: Client,
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
    pub(super) fn new(client: Client) -> Self {
        Self { client }
    }

    async fn find(&self, stack: &str) -> Option<Stack> {
        let found = self
            .client
            .describe_stacks()
            .stack_name(stack)
            .send()
            .await
            .ok()?;
        found.stacks?.into_iter().next()
    }

    /// The stack's state (`CREATE_COMPLETE`); nothing when there is no such stack.
    pub async fn status(&self, stack: &str) -> Option<String> {
        let status = self.find(stack).await?.stack_status?;
        (status.as_str() != "DELETE_COMPLETE").then(|| status.as_str().to_owned())
    }

    /// Names of all stacks that are there.
    ///
    /// # Errors
    /// The emulator does not answer.
    pub async fn names(&self) -> Result<Vec<String>, Error> {
        let found = self.client.describe_stacks().send().await;
        let stacks = found
            .map_err(Error::refused("DescribeStacks"))?
            .stacks
            .unwrap_or_default();
        let there = |stack: &Stack| {
            stack.stack_status.as_ref().map(|status| status.as_str()) != Some("DELETE_COMPLETE")
        };
        Ok(stacks
            .into_iter()
            .filter(there)
            .filter_map(|stack| stack.stack_name)
            .collect())
    }

    /// The stack's outputs.
    pub async fn outputs(&self, stack: &str) -> BTreeMap<String, String> {
        let found = self.find(stack).await.and_then(|stack| stack.outputs);
        let pair = |output: aws_sdk_cloudformation::types::Output| {
            Some((output.output_key?, output.output_value?))
        };
        found
            .unwrap_or_default()
            .into_iter()
            .filter_map(pair)
            .collect()
    }

    /// What happened, oldest first.
    ///
    /// # Errors
    /// There is no such stack.
    pub async fn events(&self, stack: &str) -> Result<Vec<Event>, Error> {
        let mut events = Vec::new();
        let mut next = None;
        loop {
            let asked = self.client.describe_stack_events().stack_name(stack);
            let page = asked.set_next_token(next).send().await;
            let page = page.map_err(Error::refused(format!("the events of {stack}")))?;
            events.extend(
                page.stack_events
                    .unwrap_or_default()
                    .into_iter()
                    .map(Event::from),
            );
            next = page.next_token;
            if next.is_none() {
                break;
            }
        }
        events.reverse();
        Ok(events)
    }

    /// Logical id, type and physical id of what is there.
    pub async fn resources(&self, stack: &str) -> Vec<(String, String, String)> {
        let found = self
            .client
            .describe_stack_resources()
            .stack_name(stack)
            .send()
            .await;
        let found = found
            .ok()
            .and_then(|found| found.stack_resources)
            .unwrap_or_default();
        let there = |resource: &StackResource| {
            resource.resource_status != Some(ResourceStatus::DeleteComplete)
        };
        let row = |resource: StackResource| {
            let id = resource.logical_resource_id.unwrap_or_default();
            let kind = resource.resource_type.unwrap_or_default();
            (id, kind, resource.physical_resource_id.unwrap_or_default())
        };
        found.into_iter().filter(there).map(row).collect()
    }

    /// Physical ids of the stack's resources of one type.
    pub async fn physical_ids(&self, stack: &str, kind: &str) -> Vec<String> {
        let found = self.resources(stack).await.into_iter();
        found.filter(|row| row.1 == kind).map(|row| row.2).collect()
    }
}

impl From<StackEvent> for Event {
    fn from(event: StackEvent) -> Self {
        let at = event.timestamp.and_then(|at| at.to_millis().ok());
        let status = event.resource_status;
        Self {
            at_ms: at.unwrap_or_default(),
            resource: event.logical_resource_id.unwrap_or_default(),
            kind: event.resource_type.unwrap_or_default(),
            status: status
                .map(|status| status.as_str().to_owned())
                .unwrap_or_default(),
            reason: event
                .resource_status_reason
                .filter(|reason| !reason.is_empty()),
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
