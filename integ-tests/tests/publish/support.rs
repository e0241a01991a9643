//! An app with an image, `soci-docker`, and what is in the registry afterwards.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use local_cloud::{
    control_plane::{App, Run, foreign_variables},
    programs,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

use crate::shared::Shared;

/// The repository of all image assets.
pub(crate) const REPOSITORY: &str = "cdk-hnb659fds-container-assets-000000000000-us-east-1";
/// A layer that the default options index: 10 MiB and more.
pub(crate) const LARGE: usize = 11 << 20;

/// A folder with `soci-docker`, images and assemblies.
pub(crate) struct Place<'a> {
    pub(crate) shared: &'a Shared,
    folder: TempDir,
}

impl<'a> Place<'a> {
    pub(crate) fn new(shared: &'a Shared) -> Self {
        let folder = tempfile::tempdir().unwrap();
        symlink(programs::builder(), folder.path().join("soci-docker")).unwrap();
        Self { shared, folder }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes an image of one layer of noise, as a folder with a Dockerfile; its path.
    pub(crate) fn image(&self, name: &str, seed: u64, bytes: usize) -> String {
        let folder = self.path(name);
        fs::create_dir(&folder).unwrap();
        let mut layer = vec![0; bytes];
        fastrand::Rng::with_seed(seed).fill(&mut layer);
        fs::write(folder.join("layer"), layer).unwrap();
        fs::write(
            folder.join("Dockerfile"),
            "FROM scratch\nADD layer /layer\n",
        )
        .unwrap();
        folder.display().to_string()
    }

    /// What leads to `soci-docker`, and from there to buildah.
    pub(crate) fn environment(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let program = self.path("soci-docker").display().to_string();
        let own = [("CDK_DOCKER", &*program), ("SOCI_DOCKER", "buildah")];
        let all = own.iter().chain(more);
        all.map(|&(name, value)| (name.to_owned(), value.to_owned()))
            .collect()
    }

    /// Deploys the stack of an app, with `soci-docker` where its variables are given.
    pub(crate) async fn deploy(
        &self,
        stack: &str,
        app: &App,
        soci_docker: Option<&[(&str, &str)]>,
    ) -> Run {
        let plain = self.shared.cloud.cdk();
        let with = soci_docker.map(|more| plain.with_environment(&self.environment(more)));
        let cdk = with.as_ref().unwrap_or(plain);
        let run = cdk.deploy(app, stack, &[]).await.unwrap();
        let mut printed = self.shared.printed.lock().unwrap();
        printed.push((format!("cdk of {stack}"), run.output.clone()));
        assert!(run.success, "{}", run.output);
        run
    }

    /// Runs an app, which leaves its assembly in a folder.
    pub(crate) async fn synthesize(&self, app: &str, context: &Value) -> PathBuf {
        let assembly = self.path("assembly");
        let output = Command::new("node")
            .arg(programs::repository().join("integ-tests/apps").join(app))
            .env("CDK_OUTDIR", &assembly)
            .env("CDK_CONTEXT_JSON", context.to_string())
            .output();
        let output = output.await.unwrap();
        let printed = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{printed}");
        assembly
    }

    /// Runs a line of shell in an assembly, with `cdk-assets` and `soci-docker` in the `PATH`; what it printed.
    pub(crate) async fn shell(
        &self,
        line: &str,
        assembly: &PathBuf,
        more: &[(&str, &str)],
    ) -> String {
        let cloud = &self.shared.cloud;
        let assets = cloud.cdk().assets_program();
        let folders = [self.path(""), assets.parent().unwrap().to_owned()];
        let own = std::env::var_os("PATH").unwrap_or_default();
        let path = folders.into_iter().chain(std::env::split_paths(&own));
        let mut shell = Command::new("bash");
        for name in foreign_variables() {
            shell.env_remove(name);
        }
        let output = shell
            .args(["-ec", line])
            .envs(cloud.environment().iter().cloned())
            .envs(self.environment(more))
            .env("PATH", std::env::join_paths(path).unwrap())
            .current_dir(assembly)
            .output();
        let output = output.await.unwrap();
        let printed =
            String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        let mut all = self.shared.printed.lock().unwrap();
        all.push((line.to_owned(), printed.clone()));
        assert!(output.status.success(), "{printed}");
        printed
    }

    /// The digest that a tag names.
    pub(crate) fn digest_of(&self, tag: &str) -> Option<String> {
        self.shared.cloud.cloud().ecr().tags(REPOSITORY).remove(tag)
    }

    /// Outputs of a stack.
    pub(crate) async fn output(&self, stack: &str, name: &str) -> String {
        self.shared.cloud.stacks().outputs(stack).await[name].clone()
    }

    /// The last response to CloudFormation for a stack.
    pub(crate) fn answer(&self, stack: &str) -> Value {
        let of_stack = format!(":stack/{stack}/");
        let answers = self.shared.cloud.answers().into_iter().rev();
        let mut bodies = answers.map(|answer| answer.body);
        let is_own = |body: &Value| body["StackId"].as_str().unwrap().contains(&of_stack);
        bodies.find(is_own).unwrap()["Data"].clone()
    }
}

/// The app of publish.js.
pub(crate) fn app(stack: &str, image: &str, options: &Value) -> App {
    let path = programs::repository().join("integ-tests/apps/publish.js");
    App::node(&path)
        .with("stack", stack)
        .with("image", image)
        .with("options", options)
}

/// Its context.
pub(crate) fn context(stack: &str, image: &str) -> Value {
    json!({"stack": stack, "image": image})
}
