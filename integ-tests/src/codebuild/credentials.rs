//! A build's credentials: a container credentials endpoint on loopback, as in CodeBuild, or environment variables.
//! In: keys. Out: environment variables for the build. The keys are revoked when the build ends.

use std::{
    collections::BTreeMap,
    io,
    sync::{Arc, Mutex, PoisonError},
};

use hyper::Response;
use reqwest::Body;
use serde_json::json;
use soci_testing::http::Server;

use crate::{cloud::listener, iam::Keys};

/// How a build gets its credentials.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Source {
    /// From an address: `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    #[default]
    Address,
    /// From `AWS_ACCESS_KEY_ID` and its like.
    Variables,
}

/// By the secret part of the address.
type Given = Arc<Mutex<BTreeMap<String, Keys>>>;

/// Variables that lead to credentials. On drop they lead nowhere.
pub(super) struct Credentials {
    variables: BTreeMap<String, String>,
    id: String,
    given: Given,
}

impl Credentials {
    pub(super) fn variables(&self) -> &BTreeMap<String, String> {
        &self.variables
    }
}

impl Drop for Credentials {
    fn drop(&mut self) {
        let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
        given.remove(&self.id);
    }
}

/// Hands out credentials.
pub(super) struct Desk {
    source: Source,
    listener: Server,
    given: Given,
}

impl Desk {
    pub(super) async fn open(source: Source) -> io::Result<Self> {
        let given = Given::default();
        let known = given.clone();
        let listener = listener::http(None, move |request| {
            let id = request.uri().path().trim_start_matches('/').to_owned();
            let keys = known
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .get(&id)
                .cloned();
            async move { Some(answer(keys)) }
        })
        .await?;
        Ok(Self {
            source,
            listener,
            given,
        })
    }

    pub(super) fn hand_out(&self, keys: &Keys) -> Credentials {
        let id = format!("{:032x}", fastrand::u128(..));
        let variables = match self.source {
            Source::Address => {
                let mut given = self.given.lock().unwrap_or_else(PoisonError::into_inner);
                given.insert(id.clone(), keys.clone());
                let address = format!("http://{}/{id}", self.listener.address());
                vec![("AWS_CONTAINER_CREDENTIALS_FULL_URI", address)]
            }
            Source::Variables => vec![
                ("AWS_ACCESS_KEY_ID", keys.access_key_id.clone()),
                ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key.clone()),
                ("AWS_SESSION_TOKEN", keys.session_token.clone()),
            ],
        };
        let variables = variables.into_iter();
        Credentials {
            variables: variables
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
            id,
            given: self.given.clone(),
        }
    }
}

fn answer(keys: Option<Keys>) -> Response<Body> {
    let Some(keys) = keys else {
        let mut answer = Response::new(Body::default());
        *answer.status_mut() = hyper::StatusCode::NOT_FOUND;
        return answer;
    };
    let json = json!({
        "AccessKeyId": keys.access_key_id,
        "SecretAccessKey": keys.secret_access_key,
        "Token": keys.session_token,
        // Later than any build: what a session's end does to a build is not played.
        "Expiration": "2099-01-01T00:00:00Z",
    });
    Response::new(Body::from(json.to_string()))
}
