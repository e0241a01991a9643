//! A stack of a test, and what is to be seen of it. In: the indexes that it shall have. Out: states, answers, builds, indexes.

use std::process::Stdio;

use local_cloud::{
    account::registry_host,
    control_plane::{App, Run},
    image::{Image, Layer, Types},
    programs,
};
use serde_json::{Value, json};

use crate::shared::Shared;

/// Large enough for the tests' minimum.
pub(crate) const LARGE: usize = 200_000;
/// The minimum that tests set: a layer above it is indexed.
pub(crate) const MINIMUM: u64 = 100_000;

/// A repository that is there before any stack.
pub(crate) struct Repository<'a> {
    shared: &'a Shared,
    pub(crate) name: String,
}

impl<'a> Repository<'a> {
    pub(crate) async fn new(shared: &'a Shared, name: &str) -> Self {
        Self::made(shared, name, false).await
    }

    pub(crate) async fn immutable(shared: &'a Shared, name: &str) -> Self {
        Self::made(shared, name, true).await
    }

    async fn made(shared: &'a Shared, name: &str, immutable: bool) -> Self {
        let account = shared.cloud.account();
        account.create_repository(name, immutable).await.unwrap();
        let name = name.to_owned();
        Self { shared, name }
    }

    /// Pushes an image of one layer for each seed, all large; its digest.
    pub(crate) async fn push(&self, tag: &str, seeds: &[u64]) -> String {
        let layers: Vec<_> = seeds
            .iter()
            .map(|seed| Layer::noise(*seed, LARGE))
            .collect();
        self.push_image(tag, &Image::of(Types::Docker, &layers))
            .await
    }

    pub(crate) async fn push_image(&self, tag: &str, image: &Image) -> String {
        image
            .push(self.shared.cloud.cloud(), &self.name, tag)
            .await
            .unwrap();
        image.digest()
    }

    /// All tags, in order.
    pub(crate) fn tags(&self) -> Vec<String> {
        self.shared
            .cloud
            .cloud()
            .ecr()
            .tags(&self.name)
            .into_keys()
            .collect()
    }

    pub(crate) fn digest_of(&self, tag: &str) -> Option<String> {
        self.shared.cloud.cloud().ecr().tags(&self.name).remove(tag)
    }

    /// Digests of all manifests.
    pub(crate) fn digests(&self) -> Vec<String> {
        self.shared.cloud.cloud().ecr().digests(&self.name)
    }

    /// What the builder itself says of an image: version and number of ztocs of each index, by platform.
    pub(crate) async fn indexes(&self, tag: &str) -> Vec<(String, String, usize)> {
        let reference = format!("{}/{}:{tag}", registry_host(), self.name);
        let mut program = tokio::process::Command::new(programs::builder());
        program
            .args(["info", "--json", &reference])
            .stdin(Stdio::null());
        let output = program.envs(self.shared.cloud.environment().iter().cloned());
        let output = output.output().await.unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let info: Value = serde_json::from_slice(&output.stdout).unwrap();
        let mut found = Vec::new();
        for platform in info["platforms"].as_array().unwrap() {
            for index in platform["indexes"].as_array().unwrap() {
                let layers = index["layers"].as_array().unwrap();
                let ztocs = layers
                    .iter()
                    .filter(|layer| layer.get("ztoc").is_some())
                    .count();
                let name = platform["platform"].as_str().unwrap().to_owned();
                found.push((name, index["version"].as_str().unwrap().to_owned(), ztocs));
            }
        }
        found
    }
}

/// An index that a stack shall have.
#[derive(Clone)]
pub(crate) struct Index(Value);

impl Index {
    pub(crate) fn v2(id: &str, repository: &Repository<'_>, tag: &str) -> Self {
        let name = &repository.name;
        Self(json!({ "id": id, "repository": name, "tag": tag, "minLayerSize": MINIMUM }))
    }

    pub(crate) fn v1(id: &str, repository: &Repository<'_>, tag: &str) -> Self {
        Self::v2(id, repository, tag).with("version", "v1")
    }

    pub(crate) fn with(mut self, key: &str, value: impl Into<Value>) -> Self {
        self.0[key] = value.into();
        self
    }
}

/// A stack.
pub(crate) struct Stack<'a> {
    shared: &'a Shared,
    pub(crate) name: String,
    app: App,
}

impl<'a> Stack<'a> {
    pub(crate) fn new(shared: &'a Shared, name: &str) -> Self {
        Self::of(shared, name, "indexes.js")
    }

    /// A stack of that app.
    pub(crate) fn of(shared: &'a Shared, name: &str, app: &str) -> Self {
        let path = programs::repository().join("integ-tests/apps").join(app);
        Self {
            shared,
            name: name.to_owned(),
            app: App::node(&path).with("stack", name),
        }
    }

    #[must_use]
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        self.app = self.app.with(key, value);
        self
    }

    /// Deploys the stack with these indexes.
    pub(crate) async fn deploy(&self, indexes: &[Index]) -> Run {
        self.run_app(self.app_with(indexes)).await
    }

    /// The same, with a resource that fails after the indexes.
    pub(crate) async fn deploy_failing(&self, indexes: &[Index]) -> Run {
        self.run_app(self.app_with(indexes).with("failing", true))
            .await
    }

    /// Deploys an app that takes no indexes.
    pub(crate) async fn deploy_app(&self) -> Run {
        self.run_app(self.app.clone()).await
    }

    async fn run_app(&self, app: App) -> Run {
        let run = self
            .shared
            .cloud
            .cdk()
            .deploy(&app, &self.name, &[])
            .await
            .unwrap();
        self.print(&run);
        run
    }

    pub(crate) async fn destroy(&self) {
        let app = self.app_with(&[]);
        let run = self
            .shared
            .cloud
            .cdk()
            .destroy(&app, &self.name)
            .await
            .unwrap();
        self.print(&run);
        assert!(run.success, "{}", run.output);
        assert_eq!(self.status().await, None);
    }

    fn app_with(&self, indexes: &[Index]) -> App {
        let indexes: Value = indexes.iter().map(|index| index.0.clone()).collect();
        self.app.clone().with("indexes", indexes)
    }

    fn print(&self, run: &Run) {
        let mut printed = self.shared.printed.lock().unwrap();
        printed.push((format!("cdk of {}", self.name), run.output.clone()));
    }

    pub(crate) async fn status(&self) -> Option<String> {
        self.shared.cloud.stacks().status(&self.name).await
    }

    /// The digest that CloudFormation gives to whoever refers to the index.
    pub(crate) async fn output_digest(&self, id: &str) -> String {
        let outputs = self.shared.cloud.stacks().outputs(&self.name).await;
        outputs[&format!("{id}Digest")].clone()
    }

    /// What was answered to CloudFormation for this stack, oldest first; to each event once.
    pub(crate) fn answers(&self) -> Vec<Value> {
        let of_stack = format!(":stack/{}/", self.name);
        let all = self
            .shared
            .cloud
            .answers()
            .into_iter()
            .map(|answer| answer.body);
        let own: Vec<_> = all
            .filter(|body| body["StackId"].as_str().unwrap().contains(&of_stack))
            .collect();
        let mut ids: Vec<_> = own
            .iter()
            .map(|body| body["RequestId"].to_string())
            .collect();
        ids.sort();
        let count = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), count, "an event was answered twice: {own:#?}");
        own
    }

    pub(crate) fn last_answer(&self) -> Value {
        self.answers().pop().unwrap()
    }

    /// Projects' names begin with the stack's.
    pub(crate) fn builds(&self) -> usize {
        let builds = self.shared.cloud.cloud().codebuild().builds();
        let prefix = format!("{}-", self.name);
        builds
            .iter()
            .filter(|build| build.project_name().starts_with(&prefix))
            .count()
    }

    /// Asserts that IAM was asked for this stack's roles, and refused nothing.
    pub(crate) fn assert_rights_were_checked(&self) {
        let own = format!(":role/{}-", self.name);
        let record = self.shared.cloud.cloud().iam().record();
        let own: Vec<_> = record.iter().filter(|one| one.who.contains(&own)).collect();
        assert!(
            own.iter().any(|one| one.action == "ecr:BatchGetImage"),
            "{own:#?}"
        );
        let refused: Vec<_> = own.iter().filter(|one| !one.allowed).collect();
        assert!(refused.is_empty(), "{refused:#?}");
    }
}

pub(crate) trait Succeeds {
    /// Asserts it.
    fn succeeds(self);
    /// Asserts the opposite; what was printed.
    fn fails(self) -> String;
}

impl Succeeds for Run {
    fn succeeds(self) {
        assert!(self.success, "{}", self.output);
    }

    fn fails(self) -> String {
        assert!(!self.success, "{}", self.output);
        self.output
    }
}

/// Asserts some of an answer's attributes.
#[track_caller]
pub(crate) fn assert_data(answer: &Value, expected: &[(&str, &str)]) {
    assert_eq!(answer["Status"], "SUCCESS", "{answer:#}");
    for (name, value) in expected {
        assert_eq!(answer["Data"][name], *value, "{name} of {answer:#}");
    }
}
