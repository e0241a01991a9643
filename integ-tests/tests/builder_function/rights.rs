//! The policies of a stack whose indexes are built in a function: with all of them everything works, and without any one something does
//! not.

use std::time::Duration;

use futures_util::{StreamExt, stream};
use local_cloud::{
    answers::Answer,
    calls::Moment,
    faults::{Fault, Gate, Point},
    iam::Lasts,
    stage::{Event, Options, Provider, Scene},
    template::Right,
};
use tokio::time::timeout;

use crate::{
    builder,
    support::{LIMIT, chain, scene, templates},
};

type Done<T> = Result<T, String>;

/// Denials are waited for by nobody here: two minutes are 0.6 s.
const QUICK: Options = Options {
    pace: 0.005,
    timeout: Duration::from_secs(900),
    retry_pause: Duration::from_millis(20),
};

async fn answered(provider: &Provider, event: &Event) -> Done<Answer> {
    let answer = provider.answer(event, LIMIT).await;
    let answer = answer.map_err(|error| chain(&error))?;
    let quiet = provider.lambda.quiet(LIMIT).await;
    quiet.map_err(|error| error.to_string())?;
    Ok(answer)
}

async fn good(provider: &Provider, event: &Event) -> Done<Answer> {
    let answer = answered(provider, event).await?;
    match answer.succeeded() {
        true => Ok(answer),
        false => Err(answer.text("Reason").to_owned()),
    }
}

fn holds(truth: bool, what: &str) -> Done<()> {
    if truth { Ok(()) } else { Err(what.to_owned()) }
}

/// A life of the resource: made, killed and answered for, superseded, handed over, deleted; and its logs can be read.
async fn life(scene: &Scene) -> Done<()> {
    let provider = scene.provider("Function", QUICK).await;
    let provider = provider.map_err(|error| error.to_string())?;
    let create = provider.create();
    provider.deliver(&create);
    let created = good(&provider, &create).await?;
    for lambda in [&provider.lambda, builder(&provider)] {
        holds(!lambda.logged().is_empty(), "a function has no log")?;
    }

    // The answer is that of the provider, which Lambda invokes in the function's name.
    let mut answering = provider
        .calls
        .hold_operation("PUT answer", 0, Moment::Before);
    let killed = provider.create().with("OutputImageTag", "killed");
    provider.deliver(&killed);
    let arrived = timeout(LIMIT, answering.arrived()).await;
    arrived.map_err(|_| "nothing was to be answered")?;
    builder(&provider).kill().await;
    drop(answering);
    good(&provider, &killed).await?;

    let gate = Gate::closed();
    let held = Fault::Held(gate.clone());
    scene
        .cloud
        .faults()
        .next(Point::registry("StartUpload"), held);
    let older = provider
        .create_sent(Duration::from_secs(10))
        .with("SpanSize", "8192")
        .with("OutputImageTag", "older")
        .field("LogicalResourceId", "Older");
    provider.deliver(&older);
    let reached = timeout(LIMIT, gate.reached()).await;
    reached.map_err(|_| "nothing was built")?;
    let delete = provider.delete(&older, "not-created/before");
    provider.deliver(&delete);
    let stopped = timeout(Duration::from_secs(5), answered(&provider, &older)).await;
    gate.open();
    let stopped = stopped.map_err(|_| "the older run goes on")??;
    let why = stopped.text("Reason");
    holds(why.contains("a newer request"), why)?;

    // The provider hands over to itself what takes longer than its time.
    provider.lambda.set_timeout(Duration::from_millis(1_500));
    let gate = Gate::closed();
    let held = Fault::Held(gate.clone());
    scene.cloud.faults().next(Point::ecr("BatchGetImage"), held);
    let long = provider.create().with("OutputImageTag", "long");
    let mut handed_over = provider
        .calls
        .hold_operation("POST lambda", 0, Moment::After);
    provider.deliver(&long);
    let arrived = timeout(LIMIT, handed_over.arrived()).await;
    arrived.map_err(|_| "nothing was handed over")?;
    provider.lambda.set_timeout(LIMIT);
    handed_over.release();
    gate.open();
    good(&provider, &long).await?;

    let delete = provider.delete(&create, created.text("PhysicalResourceId"));
    provider.deliver(&delete);
    let deleted = good(&provider, &delete).await?;
    let tags = scene.cloud.ecr().tags(local_cloud::stage::REPOSITORY);
    holds(
        !tags.contains_key(create.property("OutputImageTag")),
        deleted.text("Reason"),
    )
}

#[tokio::test]
async fn they_are_enough_and_all_are_used() {
    let scene = scene().await;
    life(&scene).await.unwrap_or_else(|why| panic!("{why}"));
    let denials = scene.cloud.denials();
    assert!(denials.is_empty(), "{denials:?}");
    let used = scene.cloud.iam().used();
    let mut rights = templates().rights("Function").unwrap();
    rights.retain(|right| !used.contains(&(right.role.clone(), right.action.clone())));
    assert!(rights.is_empty(), "no use of {rights:#?}");
}

#[tokio::test]
async fn without_any_one_right_something_fails() {
    let tries = templates().rights("Function").unwrap().into_iter();
    let tries = tries.map(|right| async move {
        let scene = scene().await;
        let iam = scene.cloud.iam();
        iam.withhold(&right.role, &right.action, Lasts::UntilLifted);
        let done = life(&scene).await;
        (right, done)
    });
    let tried: Vec<(Right, Done<()>)> = stream::iter(tries).buffer_unordered(3).collect().await;
    for (right, done) in &tried {
        eprintln!("without {} of {}: {done:?}", right.action, right.role);
    }
    let mut needless = tried.iter().filter(|(_, done)| done.is_ok());
    assert!(needless.next().is_none(), "some rights are needless");
}
