//! Credentials: who we are to a registry.
//! In: a registry's host and what the user's machine keeps. Out: user and password, a token, or nothing.

use std::{env, fmt, fs::File, io, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};
use docker_credential::{CredentialRetrievalError, DockerCredential};

use super::{ecr, endpoint::is_docker_hub, error::Error, secret::Secret};

/// The key under which docker and its helpers keep Docker Hub's credentials.
const DOCKER_HUB_KEY: &str = "https://index.docker.io/v1/";

/// Where credentials are looked for, besides AWS.
#[derive(Clone, Default)]
pub struct Environment {
    /// `SOCI_REGISTRY_USERNAME`.
    pub username: Option<String>,
    /// `SOCI_REGISTRY_PASSWORD`.
    pub password: Option<Secret>,
    /// The directory with docker's `config.json`.
    pub docker_config: Option<PathBuf>,
    /// Configuration for AWS; loaded from the process's environment when first needed, where it is not given.
    pub aws: Option<aws_config::SdkConfig>,
}

impl Environment {
    /// What this process was started with.
    pub fn of_process() -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            username: text("SOCI_REGISTRY_USERNAME"),
            password: text("SOCI_REGISTRY_PASSWORD").map(Secret::new),
            docker_config: env::var_os("DOCKER_CONFIG")
                .filter(|path| !path.is_empty())
                .map(PathBuf::from)
                .or_else(|| env::home_dir().map(|home| home.join(".docker"))),
            aws: None,
        }
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("username", &self.username)
            .field("password", &self.password)
            .field("docker_config", &self.docker_config)
            .finish_non_exhaustive()
    }
}

/// Where credentials came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// ECR, through the AWS SDK.
    Ecr,
    /// `SOCI_REGISTRY_USERNAME` and `SOCI_REGISTRY_PASSWORD`.
    Variables,
    /// Docker's configuration or one of its credential helpers.
    DockerConfig,
}

/// Credentials, in the form in which they are sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Credentials {
    /// `user:password` in base64.
    Basic(Secret),
    /// A token that stands for the user at the token service.
    Identity(Secret),
}

/// Looks credentials up. Nothing is kept, as helpers and AWS give out short-lived ones.
pub(super) struct Keyring {
    environment: Environment,
    ecr: ecr::Tokens,
}

impl Keyring {
    pub(super) fn new(environment: Environment) -> Self {
        Self {
            ecr: ecr::Tokens::new(environment.aws.clone()),
            environment,
        }
    }

    /// The credentials for `host`, where there are any.
    pub(super) async fn find(&self, host: &str) -> Result<Option<(Credentials, Origin)>, Error> {
        let fail = |source| Error::Credentials {
            host: host.to_owned(),
            source,
        };
        let ecr_failure = match ecr::Place::of(host) {
            None => None,
            Some(place) => match self.ecr.fetch(&place).await {
                Ok(token) => return Ok(Some((Credentials::Basic(token), Origin::Ecr))),
                Err(error) => Some(error),
            },
        };
        let found = match self.variables().map_err(|error| fail(Box::new(error)))? {
            Some(found) => Some((found, Origin::Variables)),
            None => self
                .docker_config(host)
                .await
                .map_err(|error| fail(Box::new(error)))?
                .map(|found| (found, Origin::DockerConfig)),
        };
        match (found, ecr_failure) {
            // Nobody logs in to ECR anonymously: what AWS said is the reason.
            (None, Some(error)) => Err(fail(error)),
            (found, _) => Ok(found),
        }
    }

    fn variables(&self) -> Result<Option<Credentials>, Unusable> {
        match (&self.environment.username, &self.environment.password) {
            (Some(username), Some(password)) => Ok(Some(basic(username, password.expose()))),
            (None, None) => Ok(None),
            _ => Err(Unusable::HalfSet),
        }
    }

    async fn docker_config(&self, host: &str) -> Result<Option<Credentials>, Unusable> {
        let Some(directory) = &self.environment.docker_config else {
            return Ok(None);
        };
        let path = directory.join("config.json");
        let keys = if is_docker_hub(host) {
            vec![DOCKER_HUB_KEY.to_owned(), "docker.io".to_owned()]
        } else {
            vec![host.to_owned()]
        };
        // Reads a file and may run a helper.
        tokio::task::spawn_blocking(move || {
            for key in &keys {
                if let Some(found) = from_docker_config(&path, key)? {
                    return Ok(Some(found));
                }
            }
            Ok(None)
        })
        .await
        .unwrap_or(Ok(None))
    }
}

fn from_docker_config(path: &PathBuf, key: &str) -> Result<Option<Credentials>, Unusable> {
    use CredentialRetrievalError as Failure;

    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => {
            return Err(Unusable::File {
                path: path.clone(),
                source,
            });
        }
    };
    match docker_credential::get_credential_from_reader(io::BufReader::new(file), key) {
        Ok(DockerCredential::IdentityToken(token)) => {
            Ok(Some(Credentials::Identity(Secret::new(token))))
        }
        Ok(DockerCredential::UsernamePassword(username, password)) => {
            Ok(Some(basic(&username, &password)))
        }
        Err(Failure::NoCredentialConfigured) => Ok(None),
        // The sentence by which every helper says that it has nothing.
        Err(Failure::HelperFailure { stdout, .. }) if stdout.contains("credentials not found") => {
            Ok(None)
        }
        // Its own text would show what the helper printed, which may be a secret.
        Err(Failure::HelperFailure { helper, .. }) => Err(Unusable::Helper { helper }),
        Err(source) => Err(Unusable::Docker {
            path: path.clone(),
            source,
        }),
    }
}

fn basic(username: &str, password: &str) -> Credentials {
    Credentials::Basic(Secret::new(
        BASE64_STANDARD.encode(format!("{username}:{password}")),
    ))
}

/// Why credentials cannot be had.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error(
        "only one of SOCI_REGISTRY_USERNAME and SOCI_REGISTRY_PASSWORD is set; set both or none"
    )]
    HalfSet,
    #[error("cannot open {path}", path = path.display())]
    File { path: PathBuf, source: io::Error },
    #[error("{helper} failed; run `{helper} get` to see why")]
    Helper { helper: String },
    #[error("cannot use {path}", path = path.display())]
    Docker {
        path: PathBuf,
        source: CredentialRetrievalError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keyring(config: &str) -> (tempfile::TempDir, Keyring) {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("config.json"), config).unwrap();
        let environment = Environment {
            docker_config: Some(directory.path().to_owned()),
            ..Environment::default()
        };
        (directory, Keyring::new(environment))
    }

    async fn found(config: &str, host: &str) -> Option<(Credentials, Origin)> {
        let (_directory, keyring) = keyring(config);
        keyring.find(host).await.unwrap()
    }

    #[tokio::test]
    async fn dockers_configuration_has_them_in_three_forms() {
        let config = format!(
            r#"{{"auths":{{"r.example":{{"auth":"{}"}},"https://s.example":{{"username":"u","password":"p"}},
                "t.example":{{"auth":"","identitytoken":"idt"}},"https://index.docker.io/v1/":{{"auth":"{}"}}}}}}"#,
            BASE64_STANDARD.encode("me:pa:ss"),
            BASE64_STANDARD.encode("hub:p"),
        );
        for (host, expected) in [
            ("r.example", Some(basic("me", "pa:ss"))),
            ("s.example", Some(basic("u", "p"))),
            ("t.example", Some(Credentials::Identity(Secret::new("idt")))),
            ("docker.io", Some(basic("hub", "p"))),
            ("registry-1.docker.io", Some(basic("hub", "p"))),
            ("other.example", None),
        ] {
            let expected = expected.map(|found| (found, Origin::DockerConfig));
            assert_eq!(found(&config, host).await, expected, "{host}");
        }
    }

    #[tokio::test]
    async fn a_missing_file_is_no_error_and_a_broken_one_is() {
        let (directory, keyring) = keyring("{");
        let error = keyring.find("r.example").await.unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot get the credentials for r.example"
        );
        std::fs::remove_file(directory.path().join("config.json")).unwrap();
        assert_eq!(keyring.find("r.example").await.unwrap(), None);
    }

    #[tokio::test]
    async fn variables_decide_over_dockers_configuration() {
        let (directory, _) = keyring(r#"{"auths":{"r.example":{"username":"u","password":"p"}}}"#);
        let mut environment = Environment {
            username: Some("v".to_owned()),
            password: Some(Secret::new("hunter2")),
            docker_config: Some(directory.path().to_owned()),
            aws: None,
        };
        assert!(!format!("{environment:?}").contains("hunter2"));
        let both = Keyring::new(environment.clone());
        assert_eq!(
            both.find("r.example").await.unwrap(),
            Some((basic("v", "hunter2"), Origin::Variables))
        );
        environment.password = None;
        assert!(Keyring::new(environment).find("r.example").await.is_err());
    }
}
