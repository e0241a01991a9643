//! The journal of a run: which requests came, what was to go wrong with them and did, and what was answered.
//! In: faults as planned. Out: the fault for a request, an earlier answer, and the record. Knows no connections.

use std::{
    collections::HashMap,
    fmt,
    sync::{Mutex, MutexGuard},
};

use soci_testing::fake_registry::Route;
use tokio::sync::watch;

use crate::{
    faults::{Fault, Planned},
    wire::Message,
};

/// A request, as far as faults go by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Occasion {
    pub(crate) route: Route,
    pub(crate) method: String,
    pub(crate) path: String,
    has_range: bool,
}

impl Occasion {
    /// What a request is; `stored` where it came to the storage.
    pub(crate) fn of(request: &Message, stored: bool) -> Self {
        let words = request.first_line();
        let (method, path) = (words[0], words.get(1).copied().unwrap_or_default());
        let path = path.split('?').next().unwrap_or_default();
        let known = method.parse().unwrap_or_default();
        Self {
            route: Route::of(&known, path, stored),
            method: method.to_owned(),
            path: path.to_owned(),
            has_range: request.header("range").is_some(),
        }
    }
}

/// A fault that struck.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) occasion: Occasion,
    pub(crate) fault: Fault,
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Occasion { method, path, .. } = &self.occasion;
        write!(f, "{method} {path}: {:?}", self.fault)
    }
}

/// The record of a run.
pub(crate) struct Journal {
    state: Mutex<State>,
    /// Exchanges that are over.
    done: watch::Sender<u32>,
}

#[derive(Default)]
struct State {
    planned: Vec<Planned>,
    came: u32,
    came_to: HashMap<Route, u32>,
    entries: Vec<Entry>,
    answers: Vec<(Occasion, Message)>,
    altered: Vec<Vec<u8>>,
}

impl Journal {
    pub(crate) fn new(planned: Vec<Planned>) -> Self {
        Self {
            state: Mutex::new(State {
                planned,
                ..State::default()
            }),
            done: watch::Sender::new(0),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Takes note of a request; gives the first fault that is planned for it and possible with it.
    pub(crate) fn begin(&self, occasion: &Occasion) -> Option<Fault> {
        let state = &mut *self.state();
        let (all, of_kind) = (state.came, state.came_to.entry(occasion.route).or_default());
        let answers = &state.answers;
        let found = state.planned.iter_mut().find(|planned| {
            let before = match planned.route {
                None => all,
                Some(route) if route == occasion.route => *of_kind,
                Some(_) => return false,
            };
            let is_possible = match planned.fault {
                Fault::WholeBlob | Fault::OtherPart { .. } => occasion.has_range,
                Fault::Other { .. } => others(answers, occasion).next().is_some(),
                Fault::Length { .. } => occasion.method != "HEAD",
                _ => true,
            };
            planned.times > 0 && before >= u32::from(planned.after) && is_possible
        });
        let fault = found.map(|planned| {
            planned.times -= 1;
            planned.fault.clone()
        });
        state.came += 1;
        *of_kind += 1;
        state.entries.extend(fault.clone().map(|fault| Entry {
            occasion: occasion.clone(),
            fault,
        }));
        fault
    }

    /// An exchange is over.
    pub(crate) fn done(&self) {
        self.done.send_modify(|done| *done += 1);
    }

    /// Waits until `others` more exchanges are over.
    pub(crate) async fn wait_for(&self, others: u32) {
        let mut done = self.done.subscribe();
        let enough = *done.borrow() + others;
        // The sender lives as long as we do.
        let _ = done.wait_for(|done| *done >= enough).await;
    }

    /// Keeps an answer, to be given to another request.
    pub(crate) fn remember(&self, occasion: &Occasion, answer: &Message) {
        if answer
            .first_line()
            .get(1)
            .is_some_and(|status| status.starts_with('2'))
        {
            self.state()
                .answers
                .push((occasion.clone(), answer.clone()));
        }
    }

    /// An answer to an earlier request of the same kind; `begin` saw that there is one.
    pub(crate) fn other(&self, occasion: &Occasion, pick: u16) -> Message {
        let state = self.state();
        let others: Vec<_> = others(&state.answers, occasion).collect();
        others[usize::from(pick) % others.len()].clone()
    }

    /// Keeps a request as the registry got it: not as the builder sent it.
    pub(crate) fn altered(&self, request: Vec<u8>) {
        self.state().altered.push(request);
    }

    /// Whether the registry got these bytes in a request that is not as the builder sent it.
    pub(crate) fn was_altered(&self, bytes: &[u8]) -> bool {
        self.state()
            .altered
            .iter()
            .any(|request| request.windows(bytes.len()).any(|part| part == bytes))
    }

    /// What went wrong, in the order in which it did.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.state().entries.clone()
    }
}

fn others<'a>(
    answers: &'a [(Occasion, Message)],
    occasion: &'a Occasion,
) -> impl Iterator<Item = &'a Message> {
    answers.iter().filter_map(|(of, answer)| {
        let is_of_kind = of.method == occasion.method && of.route == occasion.route;
        // What a tag names changes, and each upload has a place of its own: an earlier answer is another one.
        let changes = matches!(of.route, Route::ReadManifest | Route::StartUpload);
        (is_of_kind && (changes || of.path != occasion.path)).then_some(answer)
    })
}
