//! The provider killed at every await point once: at each call that a clean run makes, before and after its effect. Lambda then
//! delivers the event again, and there is one build and one right answer all the same.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use local_cloud::{
    answers::Answer,
    calls::{Held, Moment},
    codebuild::{Phase, Script},
    faults::Gate,
    lambda_runtime_api::Outcome,
    stage::{Event, Options, Provider, REPOSITORY, Scene},
};

use crate::support::{LIMIT, ask, builds_of, image, scene, settle, succeeded};

/// So many looks at a build that runs are awaited; the next ones are like them.
const LOOKS: usize = 3;
/// Stories side by side.
const AT_ONCE: usize = 4;

/// One event, a fresh provider for it, and a build that waits at the gate.
struct Story {
    scene: Scene,
    provider: Provider,
    event: Event,
    gate: Gate,
}

impl Story {
    /// A Create.
    async fn create() -> Self {
        let scene = scene().await;
        let provider = scene.provider("Keep", Options::default()).await.unwrap();
        let gate = Gate::closed();
        let script = Script::new().held_in(Phase::Build, &gate);
        scene.cloud.codebuild().next_build(script);
        let event = provider.create();
        Self {
            scene,
            provider,
            event,
            gate,
        }
    }

    /// A Delete of what is to go with its resource.
    async fn delete() -> Self {
        let scene = scene().await;
        let before = scene.provider("Destroy", Options::default()).await.unwrap();
        let create = before.create();
        let created = ask(&before, &create).await;
        succeeded(&created);
        let provider = scene.provider("Destroy", Options::default()).await.unwrap();
        let event = provider.delete(&create, created.text("PhysicalResourceId"));
        Self {
            scene,
            provider,
            event,
            gate: Gate::closed(),
        }
    }

    /// Delivers the event, kills the provider at the held call, and leaves the rest to Lambda.
    async fn killed(&self, mut held: Held) {
        self.provider.deliver(&self.event);
        let arrived = tokio::time::timeout(LIMIT, held.arrived()).await;
        assert!(
            arrived.is_ok(),
            "it never came to that:\n{}",
            self.provider.called()
        );
        self.provider.lambda.kill().await;
    }

    /// The answer, and how many calls there were in all.
    async fn end(&self) -> (Answer, usize) {
        self.gate.open();
        let answer = settle(&self.provider, &self.event).await;
        succeeded(&answer);
        (answer, self.provider.calls.all().len())
    }

    /// The same, of a story in which someone was killed.
    async fn end_again(&self) -> Answer {
        let (answer, _) = self.end().await;
        let runs = self.provider.lambda.runs();
        assert!(
            matches!(runs[0].outcome, Some(Outcome::Died(_))),
            "{runs:?}"
        );
        assert!(runs.len() >= 2, "{runs:?}");
        answer
    }

    fn has_one_build(&self) {
        let builds = builds_of(&self.scene, &self.event).len();
        let printed = self.provider.lambda.printed();
        assert_eq!(builds, 1, "{}\n{printed}", self.provider.called());
    }
}

fn moments(calls: usize) -> impl Iterator<Item = (usize, Moment)> {
    (1..=calls).flat_map(|number| [(number, Moment::Before), (number, Moment::After)])
}

/// The image index that a clean run makes, and the number of the last look at the build that is awaited.
async fn clean_create() -> (Answer, usize) {
    let story = Story::create().await;
    let mut started = story
        .provider
        .calls
        .hold_operation("StartBuild", 0, Moment::After);
    story.provider.deliver(&story.event);
    started.arrived().await;
    let mut looked =
        story
            .provider
            .calls
            .hold_operation("BatchGetBuilds", LOOKS - 1, Moment::After);
    started.release();
    looked.arrived().await;
    let calls = story.provider.calls.all().len();
    looked.release();
    let (answer, all) = story.end().await;
    assert!(all > calls);
    (answer, calls)
}

#[tokio::test]
async fn killed_at_every_call_of_a_create_it_ends_in_one_build_and_one_answer() {
    let (expected, calls) = clean_create().await;
    assert!(calls >= LOOKS + 3, "a clean run makes {calls} calls");
    let expected = &expected;
    let stories = moments(calls).map(|(number, moment)| async move {
        let story = Story::create().await;
        story
            .killed(story.provider.calls.hold(number, moment))
            .await;
        let answer = story.end_again().await;
        story.has_one_build();
        assert_eq!(
            answer.data("OutputImageDigest"),
            expected.data("OutputImageDigest"),
            "call {number}, {moment:?}"
        );
    });
    stream::iter(stories)
        .buffer_unordered(AT_ONCE)
        .count()
        .await;
}

#[tokio::test]
async fn killed_around_its_answer_it_answers_the_same_again() {
    for (moment, answers) in [(Moment::Before, 1), (Moment::After, 2)] {
        let story = Story::create().await;
        story.gate.open();
        let held = story.provider.calls.hold_operation("PUT answer", 0, moment);
        story.killed(held).await;
        story.end_again().await;
        story.has_one_build();
        assert_eq!(
            story.provider.answers.all(&story.event.place).len(),
            answers
        );
    }
}

#[tokio::test]
async fn killed_around_the_hand_over_it_ends_in_one_build_and_one_answer() {
    for moment in [Moment::Before, Moment::After] {
        let story = Story::create().await;
        story.provider.lambda.set_timeout(Duration::from_secs(2));
        let held = story
            .provider
            .calls
            .hold_operation("POST lambda", 0, moment);
        story.killed(held).await;
        story.provider.lambda.set_timeout(LIMIT);
        story.end_again().await;
        story.has_one_build();
    }
}

#[tokio::test]
async fn killed_twice_it_still_answers() {
    let story = Story::create().await;
    let held = story
        .provider
        .calls
        .hold_operation("StartBuild", 0, Moment::After);
    story.killed(held).await;
    let mut again = story
        .provider
        .calls
        .hold_operation("BatchGetBuilds", 1, Moment::After);
    again.arrived().await;
    story.provider.lambda.kill().await;
    drop(again);
    story.end_again().await;
    story.has_one_build();
    assert_eq!(story.provider.lambda.runs().len(), 3);
}

#[tokio::test]
async fn killed_at_every_call_of_a_delete_the_index_goes_and_the_image_stays() {
    let clean = Story::delete().await;
    clean.provider.deliver(&clean.event);
    let (_, calls) = clean.end().await;
    assert!(calls >= 6, "a clean run makes {calls} calls");
    let stories = moments(calls).map(|(number, moment)| async move {
        let story = Story::delete().await;
        story
            .killed(story.provider.calls.hold(number, moment))
            .await;
        story.end_again().await;
        let ecr = story.scene.cloud.ecr();
        let tags = ecr.tags(REPOSITORY);
        assert_eq!(
            tags.keys().collect::<Vec<_>>(),
            ["v1"],
            "call {number}, {moment:?}"
        );
        assert_eq!(tags["v1"], image(1).digest());
        assert!(ecr.digests(REPOSITORY).contains(&image(1).digest()));
    });
    stream::iter(stories)
        .buffer_unordered(AT_ONCE)
        .count()
        .await;
}
