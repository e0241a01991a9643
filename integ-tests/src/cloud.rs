//! The local cloud: ECR, CodeBuild and IAM of an account, on loopback.
//! In: the account's contents, and options. Out: addresses, environment variables for programs, and records.
//! All of it ends on drop.

pub(crate) mod call;
pub mod given;
pub(crate) mod listener;

use std::{collections::BTreeMap, io, path::Path, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};

use crate::{
    account::{Account, REGION},
    codebuild::{self, CodeBuild},
    ecr::{self, Ecr},
    faults::{Faults, Received},
    iam::{Decision, Iam},
    model::{self, Model},
    proxy::Proxy,
    tls::{self, Authority},
};

/// Errors at startup.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No certificate authority.
    #[error("cannot make a certificate authority")]
    Authority(#[from] tls::Error),
    /// No ECR.
    #[error("cannot start ECR")]
    Ecr(#[from] ecr::Error),
    /// No models.
    #[error("cannot load AWS's API models")]
    Models(#[from] model::Error),
    /// No port.
    #[error("cannot start the {what}")]
    Start {
        /// Which server.
        what: &'static str,
        /// Why.
        source: io::Error,
    },
}

/// Options.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// Of ECR.
    pub ecr: ecr::Options,
    /// Of CodeBuild.
    pub codebuild: codebuild::Options,
}

/// The cloud, running.
pub struct Cloud {
    // In the order of their ends: builds first, then what they use.
    codebuild: CodeBuild,
    proxy: Proxy,
    ecr: Ecr,
    authority: Authority,
    iam: Arc<Iam>,
    faults: Arc<Faults>,
}

impl Cloud {
    /// Starts one of this account.
    ///
    /// # Errors
    /// If a part does not start.
    pub async fn start(account: Arc<dyn Account>, options: Options) -> Result<Self, Error> {
        let failed = |what| move |source| Error::Start { what, source };
        // The first time, it installs them.
        let read = tokio::task::spawn_blocking(|| Model::of(model::Service::Ecr).map(drop)).await;
        read.map_err(|error| failed("reading of the models")(io::Error::other(error)))??;
        let faults = Arc::new(Faults::default());
        let iam = Arc::new(Iam::new(account.clone()));
        let authority = Authority::new()?;
        let ecr = Ecr::start(
            account.clone(),
            iam.clone(),
            faults.clone(),
            &authority,
            options.ecr,
        )
        .await?;
        let proxy = Proxy::start(ecr.host_address())
            .await
            .map_err(failed("proxy"))?;
        let near = near(&ecr, &proxy, &authority);
        let codebuild = CodeBuild::start(
            account,
            iam.clone(),
            faults.clone(),
            near,
            options.codebuild,
        )
        .await
        .map_err(failed("CodeBuild"))?;
        Ok(Self {
            codebuild,
            proxy,
            ecr,
            authority,
            iam,
            faults,
        })
    }

    /// The environment variables for programs: the addresses of ECR and CodeBuild, and the proxy to the registry host.
    /// Builds get them too.
    pub fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = near(&self.ecr, &self.proxy, &self.authority);
        environment.insert(
            "AWS_ENDPOINT_URL_CODEBUILD".to_owned(),
            self.codebuild_endpoint(),
        );
        environment.insert("AWS_REGION".to_owned(), REGION.to_owned());
        environment.insert("AWS_DEFAULT_REGION".to_owned(), REGION.to_owned());
        environment
    }

    /// For `AWS_ENDPOINT_URL_ECR`.
    pub fn ecr_endpoint(&self) -> String {
        self.ecr.endpoint()
    }

    /// For `AWS_ENDPOINT_URL_CODEBUILD`.
    pub fn codebuild_endpoint(&self) -> String {
        self.codebuild.endpoint()
    }

    /// For `HTTPS_PROXY`.
    pub fn proxy_url(&self) -> String {
        self.proxy.url()
    }

    /// For `SSL_CERT_FILE`.
    pub fn ca_file(&self) -> &Path {
        self.authority.file()
    }

    /// CodeBuild: builds and their logs, and what is to happen to builds.
    pub fn codebuild(&self) -> &CodeBuild {
        &self.codebuild
    }

    /// ECR: tags and images, tokens that expire.
    pub fn ecr(&self) -> &Ecr {
        &self.ecr
    }

    /// The way to the registry host: what went through and what was refused.
    pub fn proxy(&self) -> &Proxy {
        &self.proxy
    }

    /// Faults to inject into calls.
    pub fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Permissions: the checks so far, and denials to inject.
    pub fn iam(&self) -> &Arc<Iam> {
        &self.iam
    }

    /// All calls so far.
    pub fn calls(&self) -> Vec<Received> {
        self.faults.calls()
    }

    /// All secrets that no log may contain: tokens (raw and encoded), signatures, secret keys.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = self.iam.secrets();
        for secret in self.ecr.secrets() {
            secrets.push(BASE64_STANDARD.encode(format!("AWS:{secret}")));
            secrets.push(secret);
        }
        secrets
    }

    /// All rejected calls so far.
    pub fn denials(&self) -> Vec<Decision> {
        self.iam.refused()
    }
}

impl Drop for Cloud {
    /// A test proves nothing if the cloud's behavior or the test's requests differ from AWS's models.
    fn drop(&mut self) {
        let mismatches = self.faults.mismatches();
        if !mismatches.is_empty() && !std::thread::panicking() {
            panic!(
                "requests or responses do not match AWS's models:\n{}",
                mismatches.join("\n")
            );
        }
    }
}

fn near(ecr: &Ecr, proxy: &Proxy, authority: &Authority) -> BTreeMap<String, String> {
    let authority = authority.file().display().to_string();
    // Loopback past the proxy, for clients that do not know that by themselves.
    let loopback = "127.0.0.1,localhost";
    [
        ("AWS_ENDPOINT_URL_ECR", ecr.endpoint()),
        ("HTTPS_PROXY", proxy.url()),
        ("NO_PROXY", loopback.to_owned()),
        ("SSL_CERT_FILE", authority),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .into()
}
