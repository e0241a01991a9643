//! An answer endpoint that is down: the answer is kept until it is up again.

use std::time::Duration;

use local_cloud::answers::Down;

use crate::support::{keeper, scene, settle, succeeded};

/// A minute.
const MINUTE: Duration = Duration::from_millis(600);

#[tokio::test]
async fn an_endpoint_where_nobody_listens_for_a_minute_gets_the_answer() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    provider
        .answers
        .down(Down::Refused, usize::MAX)
        .await
        .unwrap();
    let event = provider.directly(provider.create());
    provider.deliver(&event);
    let mut built =
        provider
            .calls
            .hold_operation("BatchGetBuilds", 0, local_cloud::calls::Moment::Before);
    built.arrived().await;
    built.release();
    let builds = scene.cloud.codebuild().builds();
    builds[0].finished().await;
    // The fault's own length: a refused connection leaves no trace to wait for.
    tokio::time::sleep(MINUTE).await;
    provider.answers.up().unwrap();
    succeeded(&settle(&provider, &event).await);
    assert_eq!(provider.lambda.runs().len(), 1);
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
}

#[tokio::test]
async fn an_endpoint_that_is_busy_gets_the_answer() {
    for (how, tries) in [(Down::Unavailable, 8), (Down::Cut, 4)] {
        let scene = scene().await;
        let provider = keeper(&scene).await;
        provider.answers.down(how, tries).await.unwrap();
        let event = provider.create();
        provider.deliver(&event);
        succeeded(&settle(&provider, &event).await);
        assert_eq!(provider.answers.refused().len(), tries);
        assert_eq!(provider.answers.all(&event.place).len(), 1);
        assert_eq!(provider.lambda.runs().len(), 1);
    }
}

#[tokio::test]
async fn an_endpoint_that_outlasts_an_invocation_gets_the_answer_from_the_next() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    provider.lambda.set_timeout(Duration::from_secs(4));
    provider
        .answers
        .down(Down::Unavailable, usize::MAX)
        .await
        .unwrap();
    let event = provider.create();
    provider.deliver(&event);
    while provider.lambda.runs().len() < 2 {
        let tries = provider.answers.refused().len();
        provider.answers.refused_times(tries + 1).await;
    }
    provider.answers.up().unwrap();
    succeeded(&settle(&provider, &event).await);
    assert_eq!(scene.cloud.codebuild().builds().len(), 1);
}
