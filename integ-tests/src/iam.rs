//! IAM: may this role do that?
//! In: policies, through the account; who calls, what, on what. Out: yes, or AWS's words for no; and a record of every question.
//! Knows nothing of what the actions do.

pub mod caller;
pub mod policy;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use hyper::HeaderMap;
use serde_json::Value;

use crate::account::{ACCOUNT_ID, Account, REGION};
pub use caller::Caller;
pub use policy::Context;
use policy::{Verdict, judge, matches};

/// Why not. Its text is AWS's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing allows it.
    #[error(
        "User: {caller} is not authorized to perform: {action} on resource: {resource} because no identity-based policy \
         allows the {action} action"
    )]
    NotAllowed {
        /// Who.
        caller: String,
        /// What.
        action: String,
        /// On what.
        resource: String,
    },
    /// Something denies it.
    #[error(
        "User: {caller} is not authorized to perform: {action} on resource: {resource} with an explicit deny in an \
         identity-based policy"
    )]
    Denied {
        /// Who.
        caller: String,
        /// What.
        action: String,
        /// On what.
        resource: String,
    },
    /// A policy is not understood.
    #[error("cannot evaluate {action} of {caller}: {why}")]
    Unjudged {
        /// Who.
        caller: String,
        /// What.
        action: String,
        /// The statement, and what is in it.
        why: policy::Error,
    },
}

/// A question that was asked, and the answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Decision {
    /// The role's ARN, or `deployer`.
    pub who: String,
    /// What.
    pub action: String,
    /// On what.
    pub resource: String,
    /// What is known besides, by condition key.
    pub context: Context,
    /// Whether it was allowed.
    pub allowed: bool,
}

/// Keys of a session.
#[derive(Clone, Debug)]
pub struct Keys {
    /// Names the session.
    pub access_key_id: String,
    /// Checked by nobody here.
    pub secret_access_key: String,
    /// Checked by nobody here.
    pub session_token: String,
}

/// How long an action stays denied.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lasts {
    /// Until [`Iam::lift`].
    UntilLifted,
    /// For so many questions: IAM needs time to know a new policy.
    Times(usize),
}

/// The policies, as the services ask them.
pub struct Iam {
    account: Arc<dyn Account>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// By access key.
    sessions: BTreeMap<String, (Caller, Keys)>,
    withheld: Vec<Withheld>,
    record: Vec<Decision>,
}

/// An action that the policies may allow and that is denied nevertheless.
struct Withheld {
    role: String,
    action: String,
    lasts: Lasts,
}

impl Iam {
    /// Of this account.
    pub fn new(account: Arc<dyn Account>) -> Self {
        Self {
            account,
            state: Mutex::default(),
        }
    }

    /// Denies an action as if no policy allowed it, to the roles whose ARN matches. Both may have wildcards.
    pub fn withhold(&self, role: &str, action: &str, lasts: Lasts) {
        self.state().withheld.push(Withheld {
            role: role.to_owned(),
            action: action.to_owned(),
            lasts,
        });
    }

    /// Ends what [`Self::withhold`] began for that action.
    pub fn lift(&self, action: &str) {
        self.state().withheld.retain(|one| one.action != action);
    }

    /// All questions so far, those of the deployer not among them.
    pub fn record(&self) -> Vec<Decision> {
        self.state().record.clone()
    }

    /// The actions that each role has used: role's ARN and action.
    pub fn used(&self) -> BTreeSet<(String, String)> {
        let state = self.state();
        let allowed = state.record.iter().filter(|one| one.allowed);
        allowed
            .map(|one| (one.who.clone(), one.action.clone()))
            .collect()
    }

    /// What was refused.
    pub fn refused(&self) -> Vec<Decision> {
        let state = self.state();
        let refused = state.record.iter().filter(|one| !one.allowed);
        refused.cloned().collect()
    }

    /// Who signed this request.
    pub async fn caller(&self, headers: &HeaderMap) -> Caller {
        let Some(key) = caller::access_key(headers) else {
            return Caller::Deployer;
        };
        if let Some((caller, _)) = self.state().sessions.get(key) {
            return caller.clone();
        }
        // The emulator gives its functions this key.
        if key != ACCOUNT_ID {
            return Caller::Deployer;
        }
        let Some(name) = caller::function(headers) else {
            return Caller::Unknown {
                what: "a function that does not say its name".to_owned(),
            };
        };
        match self.account.function_role(name).await {
            Some(role) => Caller::role(&role, name),
            None => Caller::Unknown {
                what: format!("function {name}, whose role is not known,"),
            },
        }
    }

    /// Keys for a new session.
    pub fn open_session(&self, caller: Caller) -> Keys {
        let random = || format!("{:032x}", fastrand::u128(..));
        let access_key_id = format!("ASIA{}", random()[..16].to_uppercase());
        let keys = Keys {
            access_key_id: access_key_id.clone(),
            secret_access_key: random(),
            session_token: random(),
        };
        let session = (caller, keys.clone());
        self.state().sessions.insert(access_key_id, session);
        keys
    }

    /// The secret parts of all keys so far: for a search for secrets in logs.
    pub fn secrets(&self) -> Vec<String> {
        let state = self.state();
        let keys = state.sessions.values().map(|(_, keys)| keys.clone());
        keys.flat_map(|keys| [keys.secret_access_key, keys.session_token])
            .collect()
    }

    /// May `caller` do `action` on `resource`?
    ///
    /// # Errors
    /// Where not; the text is AWS's.
    pub async fn check(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
    ) -> Result<(), Refusal> {
        let context = Context::new();
        self.check_in(caller, action, resource, &context).await
    }

    /// The same, where more than that is known: what conditions of policies may ask.
    ///
    /// # Errors
    /// Where not; the text is AWS's.
    pub async fn check_in(
        &self,
        caller: &Caller,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Result<(), Refusal> {
        // What every call has.
        let mut known = context.clone();
        known.insert("aws:ResourceAccount".to_owned(), ACCOUNT_ID.to_owned());
        known.insert("aws:RequestedRegion".to_owned(), REGION.to_owned());
        let judged = |policies: &[Value]| judge(policies, action, resource, &known);
        let (role, verdict) = match caller {
            Caller::Deployer => return Ok(()),
            Caller::Unknown { what } => (what.as_str(), judged(&[])),
            // What is allowed may be so a moment longer; what is refused is refused now.
            Caller::Role { arn, .. } => match judged(&self.account.recent_policies(arn).await) {
                Ok(Verdict::Allowed) => (arn.as_str(), Ok(Verdict::Allowed)),
                _ => (arn.as_str(), judged(&self.account.policies(arn).await)),
            },
        };
        let mut state = self.state();
        let withheld = state.withholds(role, action);
        state.record.push(Decision {
            who: role.to_owned(),
            action: action.to_owned(),
            resource: resource.to_owned(),
            context: context.clone(),
            allowed: !withheld && verdict == Ok(Verdict::Allowed),
        });
        let (caller, action) = (caller.to_string(), action.to_owned());
        let resource = resource.to_owned();
        match verdict {
            Ok(Verdict::Allowed) if !withheld => Ok(()),
            Ok(Verdict::Denied) => Err(Refusal::Denied {
                caller,
                action,
                resource,
            }),
            Ok(_) => Err(Refusal::NotAllowed {
                caller,
                action,
                resource,
            }),
            Err(why) => Err(Refusal::Unjudged {
                caller,
                action,
                why,
            }),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn withholds(&mut self, role: &str, action: &str) -> bool {
        let meant = |one: &Withheld| matches(&one.role, role) && matches(&one.action, action);
        let Some(at) = self.withheld.iter().position(meant) else {
            return false;
        };
        if let Lasts::Times(left) = &mut self.withheld[at].lasts {
            *left = left.saturating_sub(1);
            if *left == 0 {
                self.withheld.remove(at);
            }
        }
        true
    }
}
