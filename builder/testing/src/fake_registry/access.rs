//! Who is let in: challenges, tokens and their end.

use std::collections::HashMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use hyper::{HeaderMap, Method};
use serde_json::json;
use url::form_urlencoded;

use super::{
    answer::{Answer, error, of, with},
    faults::Route,
};

/// What a client must show.
#[derive(Clone, Debug, Default)]
pub enum Access {
    /// Nothing.
    #[default]
    Open,
    /// User and password.
    Basic(&'static str, &'static str),
    /// A token of this registry's token service.
    Bearer(Login),
    /// User and password, at a token service elsewhere.
    BearerFrom(String),
    /// The password that ECR's API gave out last.
    Ecr,
}

/// What the token service wants to see.
#[derive(Clone, Debug)]
pub enum Login {
    /// Nothing.
    Anonymous,
    /// User and password.
    Password(&'static str, &'static str),
    /// An identity token, in a form.
    Identity(&'static str),
}

/// The guard at the door.
#[derive(Default)]
pub(crate) struct Gate {
    access: Access,
    issued: u64,
    /// Scopes by token, and ECR's password.
    valid: HashMap<String, String>,
}

impl Gate {
    pub(super) fn require(&mut self, access: Access) {
        self.access = access;
    }

    pub(super) fn expire(&mut self) {
        self.valid.clear();
    }

    /// Nothing where the request may pass; else the challenge.
    pub(super) fn check(&self, route: Route, headers: &HeaderMap, home: &str) -> Option<Answer> {
        let shown = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
            .to_owned();
        let token_service = |realm: &str| {
            let scope = "repository:ignored:pull";
            format!("Bearer realm=\"{realm}\",service=\"fake\",scope=\"{scope}\"")
        };
        let (passes, challenge) = match &self.access {
            Access::Open => return None,
            Access::Basic(user, password) => (
                shown == basic(user, password),
                "Basic realm=\"fake\"".to_owned(),
            ),
            Access::Ecr => {
                let token = shown.strip_prefix("Basic ").unwrap_or_default();
                let challenge = format!("Basic realm=\"http://{home}/\",service=\"ecr\"");
                (self.valid.contains_key(token), challenge)
            }
            Access::BearerFrom(realm) => (false, token_service(realm)),
            Access::Bearer(_) => {
                let token = shown.strip_prefix("Bearer ").unwrap_or_default();
                let scope = self
                    .valid
                    .get(token)
                    .map(String::as_str)
                    .unwrap_or_default();
                let pushes = matches!(
                    route,
                    Route::PushManifest
                        | Route::StartUpload
                        | Route::PatchUpload
                        | Route::FinishUpload
                );
                let passes = scope.contains(if pushes { "push" } else { "pull" });
                (passes, token_service(&format!("http://{home}/token")))
            }
        };
        (!passes).then(|| {
            with(
                error(401, "UNAUTHORIZED", "authentication required"),
                "www-authenticate",
                challenge,
            )
        })
    }

    /// The token service.
    pub(super) fn token(
        &mut self,
        method: &Method,
        headers: &HeaderMap,
        query: &str,
        body: &[u8],
    ) -> Answer {
        let form = if method == Method::POST {
            body
        } else {
            query.as_bytes()
        };
        let form: HashMap<String, String> = form_urlencoded::parse(form).into_owned().collect();
        let shown = headers
            .get("authorization")
            .and_then(|value| value.to_str().ok());
        let passes = match &self.access {
            Access::Bearer(Login::Password(user, password)) => {
                shown == Some(&basic(user, password))
            }
            Access::Bearer(Login::Identity(token)) => {
                method == Method::POST
                    && form.get("refresh_token").map(String::as_str) == Some(token)
                    && form.get("grant_type").map(String::as_str) == Some("refresh_token")
            }
            _ => true,
        };
        if !passes {
            return error(401, "UNAUTHORIZED", "incorrect username or password");
        }
        self.issued += 1;
        let token = format!("secret-token-{}", self.issued);
        let scope = form.get("scope").cloned().unwrap_or_default();
        self.valid.insert(token.clone(), scope);
        // Both names are in use.
        let name = if method == Method::POST {
            "access_token"
        } else {
            "token"
        };
        of(200, json!({name: token, "expires_in": 300}).to_string())
    }

    /// ECR's `GetAuthorizationToken`.
    pub(super) fn ecr_token(&mut self) -> Answer {
        self.issued += 1;
        let token = BASE64_STANDARD.encode(format!("AWS:secret-password-{}", self.issued));
        self.valid.insert(token.clone(), String::new());
        let data = json!({"authorizationToken": token, "expiresAt": 1.9e9, "proxyEndpoint": "https://unused"});
        with(
            of(200, json!({"authorizationData": [data]}).to_string()),
            "content-type",
            "application/x-amz-json-1.1",
        )
    }
}

fn basic(user: &str, password: &str) -> String {
    format!(
        "Basic {}",
        BASE64_STANDARD.encode(format!("{user}:{password}"))
    )
}
