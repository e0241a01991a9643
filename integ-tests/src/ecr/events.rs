//! The events that ECR sends to EventBridge.
//! In: what happened to an image. Out: events as in ECR's user guide, "Amazon ECR events and EventBridge", in order; a test can hold them back and
//! send them in another order, or twice. Pushes name media types and have an empty tag where there is none, as those of 2025 that users published.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, MutexGuard},
};

use serde_json::json;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::contents::Image;
use crate::{
    account::{ACCOUNT_ID, Account, Event, repository_arn},
    faults::Faults,
    lock::lock,
};

/// Where images come from that replication brings.
const SOURCE_REGION: &str = "us-west-2";

/// What happened to an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Push,
    Delete,
    Archive,
}

/// The events so far, and the way to EventBridge.
pub(super) struct Events {
    bus: UnboundedSender<Event>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    sent: Vec<Event>,
    held: Option<Vec<Event>>,
    replicas: BTreeSet<String>,
}

impl Events {
    /// Events go to this account, one after the other, until this is dropped.
    pub(super) fn open(account: Arc<dyn Account>, faults: Arc<Faults>) -> Self {
        let (bus, events) = unbounded_channel();
        tokio::spawn(send(account, faults, events));
        Self {
            bus,
            state: Mutex::default(),
        }
    }

    /// Sends the event of an action, or holds it back.
    pub(super) fn report(
        &self,
        action: Action,
        repository: &str,
        image: &Image,
        tag: Option<&str>,
    ) {
        let mut state = self.state();
        let event = if action == Action::Push && state.replicas.contains(repository) {
            replication(repository, image, tag)
        } else {
            image_action(action, repository, image, tag)
        };
        match &mut state.held {
            Some(held) => held.push(event),
            None => self.send(&mut state, event),
        }
    }

    /// Holds events back from now on.
    pub(super) fn hold(&self) {
        self.state().held.get_or_insert_default();
    }

    /// Sends what was held back, as it is arranged, and holds back no more.
    pub(super) fn release(&self, arrange: impl FnOnce(Vec<Event>) -> Vec<Event>) {
        let mut state = self.state();
        let held = state.held.take().unwrap_or_default();
        for event in arrange(held) {
            self.send(&mut state, event);
        }
    }

    /// Pushes to this repository are replications from now on.
    pub(super) fn replicate(&self, repository: &str) {
        self.state().replicas.insert(repository.to_owned());
    }

    /// All that were sent.
    pub(super) fn sent(&self) -> Vec<Event> {
        self.state().sent.clone()
    }

    fn send(&self, state: &mut State, event: Event) {
        state.sent.push(event.clone());
        // The receiver lives as long as this.
        let _ = self.bus.send(event);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

async fn send(
    account: Arc<dyn Account>,
    faults: Arc<Faults>,
    mut events: UnboundedReceiver<Event>,
) {
    while let Some(event) = events.recv().await {
        if let Err(why) = account.take_event(&event).await {
            faults.note_mismatch(format!("EventBridge rejects {event:?}: {why}"));
        }
    }
}

fn image_action(action: Action, repository: &str, image: &Image, tag: Option<&str>) -> Event {
    let mut detail = json!({
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": image.digest,
        "action-type": match action {
            Action::Push => "PUSH",
            Action::Delete => "DELETE",
            Action::Archive => "UPDATE_STORAGE_CLASS",
        },
        "manifest-media-type": image.media_type,
    });
    if let Some(artifact_type) = &image.artifact_type {
        detail["artifact-media-type"] = artifact_type.as_str().into();
    }
    match action {
        Action::Archive => detail["target-storage-class"] = "ARCHIVE".into(),
        _ => detail["image-tag"] = tag.unwrap_or_default().into(),
    }
    event("ECR Image Action", Vec::new(), detail)
}

fn replication(repository: &str, image: &Image, tag: Option<&str>) -> Event {
    let detail = json!({
        "result": "SUCCESS",
        "repository-name": repository,
        "image-digest": image.digest,
        "source-account": ACCOUNT_ID,
        "action-type": "REPLICATE",
        "source-region": SOURCE_REGION,
        "image-tag": tag.unwrap_or_default(),
    });
    event(
        "ECR Replication Action",
        vec![repository_arn(repository)],
        detail,
    )
}

fn event(detail_type: &str, resources: Vec<String>, detail: serde_json::Value) -> Event {
    Event {
        source: "aws.ecr".to_owned(),
        detail_type: detail_type.to_owned(),
        resources,
        detail,
    }
}
