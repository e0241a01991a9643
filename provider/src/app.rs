//! What is created once at startup: the AWS clients, the function's name, the pace.

use std::time::Duration;

use aws_config::{
    AppName, BehaviorVersion, Region, SdkConfig, retry::RetryConfig, timeout::TimeoutConfig,
};

use crate::{
    build::Builds,
    image::Images,
    log::Log,
    pace::{Pace, RetryWindow},
    repository::Repository,
};

/// The SDK retries brief failures. Longer ones are retried by `with_retries`.
const SDK_ATTEMPTS: u32 = 3;
const SDK_BACKOFF: Duration = Duration::from_millis(200);
const SDK_BACKOFF_MAX: Duration = Duration::from_secs(2);
/// All calls normally complete within a second.
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(10);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// What every invocation shares.
#[derive(Clone, Debug)]
pub struct App {
    /// What the clients are made of.
    pub config: SdkConfig,
    /// ECR, in the function's own region.
    pub ecr: aws_sdk_ecr::Client,
    codebuild: aws_sdk_codebuild::Client,
    /// For the hand-over.
    pub lambda: aws_sdk_lambda::Client,
    /// For presigned URLs.
    pub http: reqwest::Client,
    /// The function's own name.
    pub function: String,
    /// The pace.
    pub pace: Pace,
}

impl App {
    /// Reads the environment's credentials, region and endpoints.
    ///
    /// # Errors
    /// If the HTTP client cannot be created.
    pub async fn load(function: String, pace: Pace) -> Result<Self, reqwest::Error> {
        let mut loader = aws_config::defaults(BehaviorVersion::latest());
        if let Ok(name) = AppName::new(function.clone()) {
            loader = loader.app_name(name);
        }
        let config = loader
            .retry_config(retries(pace))
            .timeout_config(timeouts())
            .load()
            .await;
        let http = reqwest::Client::builder()
            .connect_timeout(CONNECT_TIMEOUT)
            .build()?;
        Ok(Self::new(config, http, function, pace))
    }

    /// Creates the clients from `config`; `http` is for presigned URLs.
    #[must_use]
    pub fn new(config: SdkConfig, http: reqwest::Client, function: String, pace: Pace) -> Self {
        Self {
            ecr: aws_sdk_ecr::Client::new(&config),
            codebuild: aws_sdk_codebuild::Client::new(&config),
            lambda: aws_sdk_lambda::Client::new(&config),
            http,
            config,
            function,
            pace,
        }
    }

    /// The images of a repository.
    #[must_use]
    pub fn images(&self, repository: &Repository, retry_window: RetryWindow, log: &Log) -> Images {
        let is_here = self
            .config
            .region()
            .is_none_or(|region| region.as_ref() == repository.region);
        let ecr = if is_here {
            self.ecr.clone()
        } else {
            // A repository in another region is rare; its client shares the connections.
            let config = aws_sdk_ecr::config::Builder::from(&self.config)
                .region(Region::new(repository.region.clone()))
                .build();
            aws_sdk_ecr::Client::from_conf(config)
        };
        Images::new(
            ecr,
            self.http.clone(),
            repository.clone(),
            retry_window,
            log.clone(),
        )
    }

    /// The builds of a project.
    #[must_use]
    pub fn builds(&self, project: &str) -> Builds {
        Builds::of(self.codebuild.clone(), project)
    }
}

/// The SDK's own retry settings.
#[must_use]
pub fn retries(pace: Pace) -> RetryConfig {
    RetryConfig::standard()
        .with_max_attempts(SDK_ATTEMPTS)
        .with_initial_backoff(pace.of(SDK_BACKOFF))
        .with_max_backoff(pace.of(SDK_BACKOFF_MAX))
}

fn timeouts() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT_TIMEOUT)
        .operation_attempt_timeout(ATTEMPT_TIMEOUT)
        .build()
}
