//! Everything together: our services, the emulator with its proxies, and the CLI.
//! In: options. Out: an environment in which `cdk` deploys to this machine. All of it ends when this is dropped.

use std::{net::SocketAddr, path::Path, sync::Arc};

use soci_testing::http::Server;
use tempfile::TempDir;

use super::{
    Answered, Cdk, DEPLOYER, Emulated, Emulator, Error, Stacks, Tools, cloudformation_proxy,
    emulator::Hooks,
    images::ImageStore,
    lambda_proxy, project_hook,
    response_proxy::{self, ResponseProxy},
    rights_hook, tools,
};
use crate::cloud::{self, Cloud};

/// How to start it.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The factor on the provider's pauses and time limits; default 1.
    pub provider_pace: Option<f64>,
    /// Whether functions get only the share of CPU that goes with their memory. Otherwise they get all of it: the CPU time of a debug
    /// build means little.
    pub cpu_shares: bool,
    /// What our own services do.
    pub cloud: cloud::Options,
}

impl Options {
    /// What functions and the emulator read of them.
    fn of_functions(&self) -> Vec<(String, String)> {
        let pace = self.provider_pace;
        let pace = pace.map(|factor| ("PROVIDER_PACE", factor.to_string()));
        let shares = self.cpu_shares;
        let shares = shares.then(|| ("LAMBDA_CPU_SHARES", "1".to_owned()));
        let named = |(name, value): (&str, String)| (name.to_owned(), value);
        pace.into_iter().chain(shares).map(named).collect()
    }
}

/// A running local cloud. Its parts stop in this order, so that nothing calls what is gone.
pub struct LocalCloud {
    emulator: Emulator,
    _lambda_proxy: Server,
    _cloudformation_proxy: Server,
    _hooks: [Server; 2],
    response_proxy: ResponseProxy,
    cloud: Cloud,
    account: Arc<Emulated>,
    cdk: Cdk,
    environment: Vec<(String, String)>,
    _images: ImageStore,
    folder: TempDir,
}

impl LocalCloud {
    /// Starts everything and waits until it answers. Nothing is bootstrapped yet.
    ///
    /// # Errors
    /// A part does not start.
    pub async fn start(options: Options) -> Result<Self, Error> {
        let of_functions = options.of_functions();
        let tools = Tools::install()?;
        let folder = run_folder()?;
        let listener = response_proxy::port().await.map_err(Error::cloud)?;
        let port = listener.local_addr().map_err(Error::cloud)?.port();
        let account = Arc::new(Emulated::at(port)?);
        let cloud = Cloud::start(Arc::clone(&account) as _, options.cloud).await;
        let cloud = cloud.map_err(Error::cloud)?;

        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let lambda_proxy = lambda_proxy::open(Arc::clone(cloud.iam()), address)
            .await
            .map_err(Error::cloud)?;
        let cloudformation_proxy = cloudformation_proxy::open(Arc::clone(cloud.iam()), address)
            .await
            .map_err(Error::cloud)?;
        let response_proxy = ResponseProxy::open(listener).map_err(Error::cloud)?;
        let project_hook = project_hook::open(Arc::clone(&account), Arc::clone(cloud.iam()))
            .await
            .map_err(Error::cloud)?;
        let rights_hook = rights_hook::open(Arc::clone(cloud.iam())).await;
        let rights_hook = rights_hook.map_err(Error::cloud)?;
        let shared = shared_environment(&account, &cloud);
        let mut functions = shared.clone();
        functions.extend(of_functions);
        functions.extend(function_environment(&lambda_proxy, &cloudformation_proxy));
        let hooks = Hooks {
            projects: project_hook.address(),
            rights: rights_hook.address(),
        };
        let emulator = Emulator::start(&tools, port, hooks, folder.path(), &functions).await?;

        let images = ImageStore::new(folder.path())?;
        let mut environment = shared;
        environment.extend(images.environment());
        environment.extend(cli_environment(folder.path())?);
        Ok(Self {
            emulator,
            _lambda_proxy: lambda_proxy,
            _cloudformation_proxy: cloudformation_proxy,
            _hooks: [project_hook, rights_hook],
            response_proxy,
            cloud,
            account,
            cdk: Cdk::new(tools.cdk, folder.path().into(), environment.clone()),
            environment,
            _images: images,
            folder,
        })
    }

    /// The CLI.
    pub fn cdk(&self) -> &Cdk {
        &self.cdk
    }

    /// What a shell must have in its environment to use the CLI itself.
    pub fn environment(&self) -> &[(String, String)] {
        &self.environment
    }

    /// CloudFormation's stacks.
    pub fn stacks(&self) -> &Stacks {
        self.account.stacks()
    }

    /// The emulator's account.
    pub fn account(&self) -> &Emulated {
        &self.account
    }

    /// ECR, CodeBuild and IAM.
    pub fn cloud(&self) -> &Cloud {
        &self.cloud
    }

    /// What was answered to CloudFormation so far.
    pub fn answers(&self) -> Vec<Answered> {
        self.response_proxy.answers()
    }

    /// What the emulator has logged so far, of itself.
    pub fn emulator_log(&self) -> String {
        self.emulator.log()
    }

    /// Where this run keeps its files.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }
}

fn run_folder() -> Result<TempDir, Error> {
    let root = tools::folder();
    tools::make(&root)?;
    tempfile::Builder::new()
        .prefix("run-")
        .tempdir_in(&root)
        .map_err(|source| Error::Write { path: root, source })
}

fn pairs<const N: usize>(pairs: [(&str, String); N]) -> Vec<(String, String)> {
    pairs.map(|(name, value)| (name.to_owned(), value)).into()
}

fn shared_environment(account: &Emulated, cloud: &Cloud) -> Vec<(String, String)> {
    let mut shared: Vec<_> = cloud.environment().into_iter().collect();
    shared.extend(pairs([
        ("AWS_ENDPOINT_URL", account.address().to_owned()),
        ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
    ]));
    shared
}

/// What only functions have. The emulator sets their keys itself.
fn function_environment(lambda: &Server, cloudformation: &Server) -> Vec<(String, String)> {
    let url = |proxy: &Server| format!("http://{}", proxy.address());
    pairs([
        ("AWS_ENDPOINT_URL_LAMBDA", url(lambda)),
        ("AWS_ENDPOINT_URL_CLOUDFORMATION", url(cloudformation)),
    ])
}

fn cli_environment(folder: &Path) -> Result<Vec<(String, String)>, Error> {
    let home = folder.join("cdk-home");
    tools::make(&home)?;
    Ok(pairs([
        ("AWS_ACCESS_KEY_ID", DEPLOYER.to_owned()),
        ("AWS_SECRET_ACCESS_KEY", "local-cloud".to_owned()),
        // The CLI ignores HOME, and remembers accounts there.
        ("CDK_HOME", home.display().to_string()),
        ("CDK_DISABLE_CLI_TELEMETRY", "true".to_owned()),
        // Of coming versions of Node, among the lines that matter.
        ("NODE_NO_WARNINGS", "1".to_owned()),
    ]))
}
