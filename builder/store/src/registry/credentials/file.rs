//! Files with credentials: docker's `config.json`, podman's `auth.json`.
//! In: a file, a host and a repository. Out: credentials, also of the helpers that it names. No error quotes the file.

use std::{
    collections::BTreeMap,
    fs::File,
    io::{self, Read},
    path::Path,
};

use base64::{
    Engine,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use serde::Deserialize;
use soci_format::limits::Limits;

use super::{Credentials, helper};
use crate::registry::{address::is_docker_hub, log::Log, secret::Secret};

/// The key under which docker and its helpers keep Docker Hub's credentials.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// A file, read.
pub(super) struct AuthFile {
    /// Its path, or the name of what was given in its place.
    pub(super) place: String,
    settings: AuthFileContents,
}

#[derive(Default, Deserialize)]
struct AuthFileContents {
    #[serde(default)]
    auths: Option<BTreeMap<String, Option<Entry>>>,
    #[serde(rename = "credsStore", default)]
    store: Option<String>,
    #[serde(rename = "credHelpers", default)]
    helpers: Option<BTreeMap<String, Option<String>>>,
}

#[derive(Default, Deserialize)]
struct Entry {
    auth: Option<String>,
    username: Option<String>,
    password: Option<String>,
    identitytoken: Option<String>,
    registrytoken: Option<String>,
}

/// Why the credentials of a file cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum AuthFileError {
    #[error("cannot read {place}")]
    Read { place: String, source: io::Error },
    #[error(
        "cannot read {place}: it has more than {} bytes",
        Limits::SETTINGS_BYTES
    )]
    TooLarge { place: String },
    // The parser's own words are left out: they quote what they stumble over.
    #[error("{place} is not valid JSON with credentials (line {line}, column {column})")]
    Json {
        place: String,
        line: usize,
        column: usize,
    },
    #[error("{place}: `auth` of {key:?} is not user:password in base64")]
    Auth { place: String, key: String },
    #[error("{failure}; needed by {place}")]
    Helper {
        place: String,
        failure: helper::HelperError,
    },
}

impl AuthFile {
    /// Reads the file at `path`; `None` where there is none.
    pub(super) fn open(path: &Path) -> Result<Option<Self>, AuthFileError> {
        let place = path.display().to_string();
        let mut text = Vec::new();
        let read = File::open(path)
            .and_then(|file| file.take(Limits::SETTINGS_BYTES + 1).read_to_end(&mut text));
        match read {
            Ok(_) if text.len() as u64 > Limits::SETTINGS_BYTES => {
                Err(AuthFileError::TooLarge { place })
            }
            Ok(_) => Self::parse(place, &text).map(Some),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(source) => Err(AuthFileError::Read { place, source }),
        }
    }

    /// Reads what was given in place of a file.
    pub(super) fn of_text(name: &str, text: &Secret) -> Result<Self, AuthFileError> {
        Self::parse(name.to_owned(), text.expose().as_bytes())
    }

    fn parse(place: String, text: &[u8]) -> Result<Self, AuthFileError> {
        // Some editors begin a file with the mark of its encoding.
        let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
        if text.trim_ascii().is_empty() {
            let settings = AuthFileContents::default();
            return Ok(Self { place, settings });
        }
        match serde_json::from_slice(text) {
            Ok(settings) => Ok(Self { place, settings }),
            Err(error) => Err(AuthFileError::Json {
                place,
                line: error.line(),
                column: error.column(),
            }),
        }
    }

    /// The credentials for `repository` at `host`: of the helper for it, else of the store for all, else those that stand here.
    pub(super) async fn find(
        &self,
        host: &str,
        repository: &str,
        log: &Log,
    ) -> Result<Option<Credentials>, AuthFileError> {
        let helpers = self.settings.helpers.iter().flatten();
        let helper = match best(helpers, host, repository) {
            // An empty name turns the store off for a host.
            Some((_, helper)) => helper.as_ref(),
            None => self.settings.store.as_ref(),
        };
        let helped = match helper.filter(|name| !name.is_empty()) {
            Some(name) => self.ask(name, host, log).await,
            None => Ok(None),
        };
        match helped {
            Ok(Some(found)) => Ok(Some(found)),
            helped => match self.here(host, repository)? {
                Some(found) => Ok(Some(found)),
                None => helped,
            },
        }
    }

    async fn ask(
        &self,
        helper: &str,
        host: &str,
        log: &Log,
    ) -> Result<Option<Credentials>, AuthFileError> {
        // What a user logged in to by its URL is kept under that by some helpers.
        let keys = match is_docker_hub(host) {
            true => [DOCKER_HUB_KEY.to_owned(), "docker.io".to_owned()],
            false => [host.to_owned(), format!("https://{host}")],
        };
        for key in &keys {
            let found = helper::ask(helper, key, log).await;
            let found = found.map_err(|failure| AuthFileError::Helper {
                place: self.place.clone(),
                failure,
            })?;
            if let Some(found) = found {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    fn here(&self, host: &str, repository: &str) -> Result<Option<Credentials>, AuthFileError> {
        let entries = self.settings.auths.iter().flatten();
        // An entry without anything in it only says that a store has it.
        let entries = entries.filter_map(|(key, entry)| {
            let credentials = entry.as_ref()?.credentials();
            (!matches!(credentials, Some(None))).then_some((key, credentials))
        });
        let entries: Vec<_> = entries.collect();
        let entries = entries.iter().map(|(key, found)| (*key, found));
        match best(entries, host, repository) {
            None => Ok(None),
            Some((_, Some(found))) => Ok(found.clone()),
            Some((key, None)) => Err(AuthFileError::Auth {
                place: self.place.clone(),
                key: key.clone(),
            }),
        }
    }
}

impl Entry {
    /// What it holds: `Some(None)` where that is nothing, `None` where `auth` cannot be read.
    #[allow(clippy::option_option, reason = "unreadable and empty differ")]
    fn credentials(&self) -> Option<Option<Credentials>> {
        let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
        let auth = self.auth.as_deref().unwrap_or_default().trim_ascii();
        let user = if auth.is_empty() {
            let text = |of: &Option<String>| of.clone().unwrap_or_default();
            (text(&self.username), text(&self.password))
        } else {
            decode(auth)?
        };
        let mut found = Credentials::of_user(&user.0, &user.1).unwrap_or_default();
        found.identity = given(&self.identitytoken)
            .map(Secret::new)
            .or(found.identity);
        found.bearer = given(&self.registrytoken).map(Secret::new);
        Some((found != Credentials::default()).then_some(found))
    }
}

/// User and password of an `auth`. Passwords have colons; what `echo` and old versions of docker put behind them is no part of them.
fn decode(auth: &str) -> Option<(String, String)> {
    let alphabet = &base64::alphabet::STANDARD;
    let lenient = GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true);
    let text: String = auth
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .map(|c| match c {
            '-' => '+',
            '_' => '/',
            other => other,
        })
        .collect();
    let bytes = GeneralPurpose::new(alphabet, lenient).decode(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let (user, password) = text.split_once(':')?;
    let password = password.trim_end_matches(['\0', '\r', '\n']);
    Some((user.to_owned(), password.to_owned()))
}

/// The entry whose key fits best: the longest path, else the host alone.
fn best<'a, T>(
    entries: impl Iterator<Item = (&'a String, T)>,
    host: &str,
    repository: &str,
) -> Option<(&'a String, T)> {
    let fitting =
        entries.filter_map(|(key, entry)| Some((fit(key, host, repository)?, key, entry)));
    fitting
        .reduce(|best, next| if next.0 > best.0 { next } else { best })
        .map(|(_, key, entry)| (key, entry))
}

/// How well a key fits: whether it is the host as it stands, and how much of the repository's path it names.
fn fit(key: &str, host: &str, repository: &str) -> Option<(usize, bool)> {
    let bare = ["https://", "http://"]
        .into_iter()
        .find_map(|scheme| key.strip_prefix(scheme));
    let (key_host, path) = {
        let text = bare.unwrap_or(key).trim_end_matches('/');
        text.split_once('/').unwrap_or((text, ""))
    };
    if !same_host(key_host, host) {
        return None;
    }
    let below = repository.strip_prefix(path);
    match (path, below) {
        // Docker writes the version of an API behind some hosts.
        ("" | "v1" | "v2", _) => Some((0, key == host)),
        (_, Some(rest)) if rest.is_empty() || rest.starts_with('/') => Some((path.len(), false)),
        // A URL stands for its host, whatever its path.
        _ if bare.is_some() => Some((0, false)),
        _ => None,
    }
}

fn same_host(key: &str, host: &str) -> bool {
    let plain = |text: &str| {
        let text = text.to_ascii_lowercase();
        text.strip_suffix(":443").unwrap_or(&text).to_owned()
    };
    let (key, host) = (plain(key), plain(host));
    key == host || (is_docker_hub(&key) && is_docker_hub(&host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longest_path_fits_best() {
        let keys = [
            "r.example",
            "https://r.example/v1/",
            "r.example/team",
            "r.example/team/app/",
            "r.example/tea",
            "r.example/team/app/more",
            "other.example/team/app",
        ]
        .map(str::to_owned);
        let chosen = |host, repository| {
            let entries = keys.iter().map(|key| (key, ()));
            best(entries, host, repository).map(|(key, ())| key.as_str())
        };
        assert_eq!(chosen("r.example", "team/app"), Some("r.example/team/app/"));
        assert_eq!(chosen("r.example", "team/other"), Some("r.example/team"));
        assert_eq!(chosen("r.example", "x"), Some("r.example"));
        assert_eq!(chosen("R.example:443", "x"), Some("r.example"));
        assert_eq!(chosen("r.example:5000", "x"), None);
    }

    #[test]
    fn a_url_stands_for_its_host() {
        for key in [
            "http://r.example",
            "https://r.example/",
            "https://r.example/v2/",
            "https://r.example/another/path",
            "r.example/",
            "r.example/v1/",
        ] {
            assert!(fit(key, "r.example", "team/app").is_some(), "{key}");
        }
        for key in ["r.example/another", "https://q.example", "r.example.evil"] {
            assert_eq!(fit(key, "r.example", "team/app"), None, "{key}");
        }
        assert!(fit(DOCKER_HUB_KEY, "docker.io", "library/app").is_some());
        assert!(fit("docker.io", "registry-1.docker.io", "library/app").is_some());
    }

    #[test]
    fn nothing_secret_is_in_an_error() {
        let path = "F".to_owned();
        let text = br#"{"auths": {"r.example": {"auth": 7, "password": ["hunter2"]}}}"#;
        let error = AuthFile::parse(path, text).err().unwrap();
        assert!(
            !format!("{error} {error:?}").contains("hunter2"),
            "{error:?}"
        );
    }
}
