//! The local cloud that the tests share. In: a test. Out: its result; and after it, no secret in anything that can be read.

use std::sync::{Arc, Mutex, Once, PoisonError, Weak};

use local_cloud::{
    control_plane::{LocalCloud, Options, secrets},
    programs,
};
use tokio::runtime::Runtime;

/// Pauses and bounds of the provider, as a part of those in an account: a build of such small images takes a second.
pub(crate) const PACE: f64 = 0.05;

pub(crate) struct Shared {
    // Before its runtime: what it started ends in it.
    pub(crate) cloud: LocalCloud,
    /// What the CLI printed so far, by stack.
    pub(crate) printed: Mutex<Vec<(String, String)>>,
    runtime: Runtime,
}

static SHARED: Mutex<Weak<Shared>> = Mutex::new(Weak::new());

/// Runs a test in the cloud, started and bootstrapped where no other test has it now. The last to leave stops it.
pub(crate) fn story(test: impl AsyncFnOnce(&Shared)) {
    shared().run(test);
}

/// Runs a test in a cloud of its own: one that says what happens to whatever comes next. The smaller the pace, the shorter are all pauses.
pub(crate) fn story_apart(pace: f64, test: impl AsyncFnOnce(&Shared)) {
    Shared::start(pace).run(test);
}

fn shared() -> Arc<Shared> {
    let mut place = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(shared) = place.upgrade() {
        return shared;
    }
    let shared = Arc::new(Shared::start(PACE));
    *place = Arc::downgrade(&shared);
    shared
}

/// Puts the programs of this build into the construct.
fn assets() {
    let program = programs::provider();
    let profile = program
        .parent()
        .and_then(|folder| folder.file_name())
        .unwrap();
    let construct = programs::repository().join("cdk-construct");
    let script = construct.join("scripts/assets");
    let done = std::process::Command::new(script)
        .arg(profile)
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{}",
        String::from_utf8_lossy(&done.stderr)
    );
    let compiled = construct.join("lib/index.js").is_file();
    assert!(
        compiled,
        "the construct is not compiled; run: integ-tests/scripts/prepare debug"
    );
}

impl Shared {
    fn start(pace: f64) -> Self {
        static ASSETS: Once = Once::new();
        ASSETS.call_once(assets);
        let runtime = Runtime::new().unwrap();
        let options = Options {
            provider_pace: Some(pace),
            ..Options::default()
        };
        let cloud = runtime.block_on(async {
            let cloud = LocalCloud::start(options).await.unwrap();
            cloud.cdk().bootstrap().await.unwrap();
            cloud
        });
        Self {
            cloud,
            printed: Mutex::default(),
            runtime,
        }
    }

    fn run(&self, test: impl AsyncFnOnce(&Self)) {
        self.runtime.block_on(async {
            test(self).await;
            self.assert_no_secrets().await;
        });
    }

    /// Everything that was printed, stored or passed to a build, from all tests so far.
    async fn assert_no_secrets(&self) {
        let mut texts = self.printed.lock().unwrap().clone();
        texts.push((
            "function logs".into(),
            self.cloud.account().logs().await.unwrap(),
        ));
        for build in self.cloud.cloud().codebuild().builds() {
            texts.push((format!("log of {}", build.id()), build.log()));
            let environment = format!("{:?}", build.environment());
            texts.push((format!("environment of {}", build.id()), environment));
        }
        for stack in self.cloud.stacks().names().await.unwrap() {
            // It may be gone by now: another test's.
            let events = self.cloud.stacks().events(&stack).await.unwrap_or_default();
            texts.push((format!("events of {stack}"), format!("{events:?}")));
        }
        for answer in self.cloud.answers() {
            texts.push(("an answer".into(), answer.body.to_string()));
        }
        let ecr = self.cloud.cloud().ecr().secrets().into_iter();
        let mut known: Vec<_> = ecr
            .map(|secret| ("a secret of ECR".into(), secret))
            .collect();
        for answer in self.cloud.answers() {
            known.push(("a ResponseURL".into(), answer.secret));
        }
        let texts = texts
            .iter()
            .map(|(name, text)| (name.as_str(), text.as_str()));
        assert_eq!(secrets::in_texts(texts, &known), []);
    }
}
