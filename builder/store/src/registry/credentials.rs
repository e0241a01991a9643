//! Credentials for a registry.
//! In: a registry's host, a repository there, and what the user's machine keeps. Out: credentials with where they came from, or
//! nothing.

mod file;
mod helper;

use std::{env, fmt, path::PathBuf};

use base64::{Engine, prelude::BASE64_STANDARD};

use super::{ecr, error::Error, log::Log, origin::Origin, secret::Secret};
use file::{AuthFile, AuthFileError};

/// Where credentials are looked for, besides AWS.
#[derive(Clone, Default)]
pub struct Environment {
    /// `SOCI_REGISTRY_USERNAME`.
    pub username: Option<String>,
    /// `SOCI_REGISTRY_PASSWORD`.
    pub password: Option<Secret>,
    /// What docker's configuration would hold, asked before all files, and the name of where it was given: `DOCKER_AUTH_CONFIG`.
    pub auth_config: Option<(String, Secret)>,
    /// The files of docker and podman that may hold credentials, the first to be asked first.
    pub auth_files: Vec<PathBuf>,
    /// Whether these come before AWS for hosts of ECR, too: what a container CLI has just used is right.
    pub login_before_aws: bool,
    /// Configuration for AWS; loaded from the process's environment when first needed, where it is not given.
    pub aws: Option<aws_config::SdkConfig>,
}

const AUTH_CONFIG: &str = "DOCKER_AUTH_CONFIG";

impl Environment {
    /// What this process was started with.
    pub fn of_process() -> Self {
        let text = |name| env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            username: text("SOCI_REGISTRY_USERNAME"),
            password: text("SOCI_REGISTRY_PASSWORD").map(Secret::new),
            auth_config: text(AUTH_CONFIG).map(|text| (AUTH_CONFIG.to_owned(), Secret::new(text))),
            auth_files: auth_files(),
            login_before_aws: false,
            aws: None,
        }
    }
}

/// The files that podman, skopeo and buildah look into, in their order (containers-auth.json(5)); docker's is the last of them.
fn auth_files() -> Vec<PathBuf> {
    if let Some(only) = path("REGISTRY_AUTH_FILE") {
        return vec![only];
    }
    let home = env::home_dir();
    let below_home = |name| home.as_ref().map(|home| home.join(name));
    let podman = "containers/auth.json";
    let runtime = path("XDG_RUNTIME_DIR").map(|directory| directory.join(podman));
    let config = path("XDG_CONFIG_HOME").or_else(|| below_home(".config"));
    let files = [
        runtime.or_else(without_runtime_directory),
        config.map(|directory| directory.join(podman)),
        docker_file(),
    ];
    files.into_iter().flatten().collect()
}

/// Docker's file.
pub fn docker_file() -> Option<PathBuf> {
    let directory = path("DOCKER_CONFIG").or_else(|| Some(env::home_dir()?.join(".docker")))?;
    Some(directory.join("config.json"))
}

fn path(variable: &str) -> Option<PathBuf> {
    let value = env::var_os(variable).filter(|value| !value.is_empty());
    value.map(PathBuf::from)
}

/// Where podman keeps its file without `XDG_RUNTIME_DIR`, as for root.
#[cfg(target_os = "linux")]
fn without_runtime_directory() -> Option<PathBuf> {
    use std::os::unix::fs::MetadataExt;
    let uid = std::fs::metadata("/proc/self").ok()?.uid();
    Some(PathBuf::from(format!("/run/containers/{uid}/auth.json")))
}

#[cfg(not(target_os = "linux"))]
fn without_runtime_directory() -> Option<PathBuf> {
    None
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Environment")
            .field("username", &self.username)
            .field("password", &self.password)
            .field("auth_config", &self.auth_config)
            .field("auth_files", &self.auth_files)
            .field("login_before_aws", &self.login_before_aws)
            .finish_non_exhaustive()
    }
}

/// Credentials, in the forms in which they are sent. A registry's challenge chooses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Credentials {
    /// `user:password` in base64.
    pub(super) basic: Option<Secret>,
    /// A token that stands for the user at the token service.
    pub(super) identity: Option<Secret>,
    /// A token for the registry itself.
    pub(super) bearer: Option<Secret>,
}

/// What a user has at Azure's registries whose password is an identity token.
const NO_USER: &str = "00000000-0000-0000-0000-000000000000";

impl Credentials {
    /// Of a user name and what stands beside it; `None` where both are empty.
    fn of_user(username: &str, password: &str) -> Option<Self> {
        let identity = || Some(Secret::new(password));
        let basic = || Some(basic(username, password));
        match (username, password) {
            ("", "") => None,
            ("<token>", _) => Some(Self {
                identity: identity(),
                ..Self::default()
            }),
            (NO_USER, "") => None,
            (NO_USER, _) => Some(Self {
                basic: basic(),
                identity: identity(),
                ..Self::default()
            }),
            _ => Some(Self {
                basic: basic(),
                ..Self::default()
            }),
        }
    }
}

fn basic(username: &str, password: &str) -> Secret {
    Secret::new(BASE64_STANDARD.encode(format!("{username}:{password}")))
}

/// Looks up credentials. Nothing is cached, as helpers and AWS give out short-lived ones.
pub(super) struct CredentialStore {
    environment: Environment,
    ecr: ecr::Api,
    log: Log,
}

impl CredentialStore {
    pub(super) fn new(environment: Environment, log: Log) -> Self {
        Self {
            ecr: ecr::Api::new(environment.aws.clone()),
            environment,
            log,
        }
    }

    /// The credentials for `repository` at `host`, where there are any.
    pub(super) async fn find(
        &self,
        host: &str,
        repository: &str,
    ) -> Result<Option<(Credentials, Origin)>, Error> {
        let fail = |source| Error::Credentials {
            host: host.to_owned(),
            source,
        };
        if let Some(place) = ecr::EcrHost::of(host) {
            let found = self.for_ecr(&place, host, repository).await;
            return found.map(Some).map_err(|failure| fail(Box::new(failure)));
        }
        let variables = self.variables().map_err(|error| fail(Box::new(error)))?;
        if let Some(credentials) = variables {
            return Ok(Some((credentials, Origin::Variables)));
        }
        let found = self.in_files(host, repository).await;
        let found = found.map_err(|error| fail(Box::new(error)))?;
        Ok(found.map(|found| of_file(found, None)))
    }

    /// Those of AWS, else those of a file, or the other way round. Nobody logs in to ECR anonymously, so where there are none, what AWS
    /// said is the reason. A user and password for any registry stay here.
    async fn for_ecr(
        &self,
        place: &ecr::EcrHost,
        host: &str,
        repository: &str,
    ) -> Result<(Credentials, Origin), ecr::EcrError> {
        let login = async || self.in_files(host, repository).await.ok().flatten();
        let is_first = self.environment.login_before_aws;
        if is_first && let Some(found) = login().await {
            return Ok(of_file(found, None));
        }
        let failure = match self.ecr.fetch(place, &self.log).await {
            Ok(token) => {
                let credentials = Credentials {
                    basic: Some(token),
                    ..Credentials::default()
                };
                return Ok((credentials, Origin::Ecr));
            }
            Err(failure) => failure,
        };
        let found = if is_first { None } else { login().await };
        match found {
            Some(found) => Ok(of_file(found, Some(failure.to_string()))),
            None => Err(failure),
        }
    }

    /// The tags in a repository of ECR that end in `suffix`, the newest first.
    pub(super) async fn newest_tags(
        &self,
        place: &ecr::EcrHost,
        repository: &str,
        suffix: &str,
    ) -> Result<Vec<String>, ecr::EcrError> {
        self.ecr
            .newest_tags(place, repository, suffix, &self.log)
            .await
    }

    fn variables(&self) -> Result<Option<Credentials>, IncompleteVariables> {
        match (&self.environment.username, &self.environment.password) {
            (Some(username), Some(password)) => Ok(Some(Credentials {
                basic: Some(basic(username, password.expose())),
                ..Credentials::default()
            })),
            (None, None) => Ok(None),
            _ => Err(IncompleteVariables),
        }
    }

    fn files(&self) -> Vec<Result<AuthFile, AuthFileError>> {
        let given = self.environment.auth_config.as_ref();
        let given = given.map(|(name, text)| AuthFile::of_text(name, text));
        let files = self.environment.auth_files.iter();
        let files = files.filter_map(|path| AuthFile::open(path).transpose());
        given.into_iter().chain(files).collect()
    }

    /// The first credentials in docker's and podman's files. A file that cannot be used is an error where no other has any.
    async fn in_files(
        &self,
        host: &str,
        repository: &str,
    ) -> Result<Option<(Credentials, String)>, AuthFileError> {
        let mut failure = None;
        for file in self.files() {
            let found = match &file {
                Ok(file) => file.find(host, repository, &self.log).await,
                Err(_) => Ok(None),
            };
            match (file, found) {
                (Ok(file), Ok(Some(found))) => {
                    let place = file.place;
                    self.log
                        .line(|| format!("credentials for {host}: from {place}"));
                    return Ok(Some((found, place)));
                }
                (Err(error), _) | (_, Err(error)) => {
                    self.log.line(|| format!("credentials for {host}: {error}"));
                    failure = failure.or(Some(error));
                }
                (Ok(_), Ok(None)) => {}
            }
        }
        failure.map_or(Ok(None), Err)
    }
}

fn of_file(
    (credentials, place): (Credentials, String),
    instead_of_ecr: Option<String>,
) -> (Credentials, Origin) {
    let origin = Origin::File {
        place,
        instead_of_ecr,
    };
    (credentials, origin)
}

/// A user without a password, or a password without a user.
#[derive(Debug, thiserror::Error)]
#[error("only one of SOCI_REGISTRY_USERNAME and SOCI_REGISTRY_PASSWORD is set; set both or none")]
struct IncompleteVariables;

#[cfg(test)]
mod tests;
