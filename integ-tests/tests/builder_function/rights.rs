//! The policies of a stack whose indexes are built in a function: with all of them everything works, and without any one something does
//! not.

use std::time::Duration;

use local_cloud::{
    calls::Moment,
    faults::{Fault, Gate, Point},
    stage::{Options, Scene},
};
use tokio::time::timeout;

use crate::{
    builder,
    support::{
        LIMIT,
        rights::{Done, answered, good, holds, needless},
        scene, templates,
    },
};

/// Denials are waited for by nobody here: two minutes are 0.6 s.
const QUICK: Options = Options {
    pace: 0.005,
    timeout: Duration::from_secs(900),
    retry_pause: Duration::from_millis(20),
};

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
    let rights = templates().rights("Function").unwrap();
    let needless = needless(rights, async |scene| life(scene).await).await;
    assert!(needless.is_empty(), "works without {needless:#?}");
}
