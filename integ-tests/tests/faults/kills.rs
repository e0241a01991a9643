//! The provider killed at every await point once: at each call that a clean run makes, before and after its effect. Lambda then
//! delivers the event again, and there is one build and one right answer all the same.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use local_cloud::{
    answers::Answer,
    calls::Moment,
    codebuild::{Phase, Script},
    faults::Gate,
    lambda_runtime_api::Outcome,
    stage::{Event, Options, Provider, Scene},
};

use crate::support::{builds_of, scene, settle, succeeded};

/// Enough for two invocations where a build waits for five looks at it.
const TIMEOUT: Duration = Duration::from_millis(2_500);

/// One story of a Create with a build, longer than one invocation where `is_long`.
struct Story<'a> {
    scene: &'a Scene,
    provider: Provider,
    event: Event,
}

impl<'a> Story<'a> {
    /// Each has a tag of its own, so that many share one cloud.
    async fn begin(scene: &'a Scene, name: &str) -> Self {
        let provider = scene.provider("Keep", Options::default()).await.unwrap();
        let event = provider
            .create()
            .with("OutputImageTag", name)
            .field("LogicalResourceId", name);
        Self {
            scene,
            provider,
            event,
        }
    }

    async fn end(self) -> (Answer, usize) {
        let answer = settle(&self.provider, &self.event).await;
        succeeded(&answer);
        let builds = builds_of(self.scene, &self.event);
        assert_eq!(
            builds.len(),
            1,
            "{}\n{}",
            self.provider.called(),
            self.provider.lambda.printed()
        );
        (answer, self.provider.calls.all().len())
    }

    /// Kills the provider at that call; whether it came to that.
    async fn kill_at(&self, number: usize, moment: Moment) -> bool {
        let mut held = self.provider.calls.hold(number, moment);
        self.provider.deliver(&self.event);
        tokio::select! {
            () = held.arrived() => {
                self.provider.lambda.kill().await;
                true
            }
            // Looks at a build are not always as many.
            answer = self.provider.answer(&self.event, crate::support::LIMIT) => {
                answer.unwrap();
                false
            }
        }
    }
}

#[tokio::test]
async fn killed_at_every_call_it_ends_in_one_build_and_one_answer() {
    let scene = scene().await;
    let clean = Story::begin(&scene, "clean").await;
    clean.provider.deliver(&clean.event);
    let (expected, calls) = clean.end().await;
    assert!(calls >= 6, "a clean run makes {calls} calls");

    let moments =
        (1..=calls).flat_map(|number| [(number, Moment::Before), (number, Moment::After)]);
    let (scene, expected) = (&scene, &expected);
    let killed = stream::iter(moments)
        .map(|(number, moment)| kill_once(scene, number, moment, expected))
        .buffer_unordered(4)
        .filter(|was_killed| std::future::ready(*was_killed))
        .count()
        .await;
    // All but some looks at a build that was done sooner.
    assert!(
        killed >= 2 * (calls - 2),
        "only {killed} of {} kills hit",
        2 * calls
    );
}

async fn kill_once(scene: &Scene, number: usize, moment: Moment, expected: &Answer) -> bool {
    let story = Story::begin(scene, &format!("kill-{number}-{moment:?}")).await;
    let was_killed = story.kill_at(number, moment).await;
    if was_killed {
        story
            .provider
            .lambda
            .quiet(crate::support::LIMIT)
            .await
            .unwrap();
        let runs = story.provider.lambda.runs();
        assert!(
            matches!(runs[0].outcome, Some(Outcome::Died(_))),
            "{runs:?}"
        );
        assert!(runs.len() >= 2, "call {number}, {moment:?}: {runs:?}");
    }
    let (answer, _) = story.end().await;
    assert_eq!(
        answer.data("OutputImageDigest"),
        expected.data("OutputImageDigest"),
        "call {number}, {moment:?}"
    );
    was_killed
}

#[tokio::test]
async fn killed_around_the_hand_over_it_ends_in_one_build_and_one_answer() {
    let scene = scene().await;
    for moment in [Moment::Before, Moment::After] {
        let story = Story::begin(&scene, &format!("hand-over-{moment:?}")).await;
        story.provider.lambda.set_timeout(TIMEOUT);
        let gate = Gate::closed();
        scene
            .cloud
            .codebuild()
            .next_build(Script::new().held_in(Phase::Build, &gate));
        let mut held = story
            .provider
            .calls
            .hold_operation("POST lambda", 0, moment);
        story.provider.deliver(&story.event);
        held.arrived().await;
        story.provider.lambda.kill().await;
        drop(held);
        gate.open();
        story.end().await;
    }
}

#[tokio::test]
async fn killed_twice_it_still_answers() {
    let scene = scene().await;
    let story = Story::begin(&scene, "twice").await;
    let mut first = story
        .provider
        .calls
        .hold_operation("StartBuild", 0, Moment::After);
    story.provider.deliver(&story.event);
    first.arrived().await;
    let mut second = story
        .provider
        .calls
        .hold_operation("BatchGetBuilds", 0, Moment::After);
    story.provider.lambda.kill().await;
    second.arrived().await;
    story.provider.lambda.kill().await;
    drop((first, second));
    story.end().await;
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
}
