//! Indexes that the builder function builds, with the real program as both functions: what holds for every life of such a resource, and
//! for each way in which the function can end.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "../support/mod.rs"]
mod support;

mod failures;
mod lives;
mod newer;
mod rights;

use local_cloud::{
    lambda_runtime_api::Lambda,
    stage::{Options, Provider, Scene},
};

/// The provider and the builder function of the stack `Function`.
async fn function(scene: &Scene) -> Provider {
    function_at(scene, Options::default().pace).await
}

async fn function_at(scene: &Scene, pace: f64) -> Provider {
    let options = Options {
        pace,
        ..Options::default()
    };
    scene.provider("Function", options).await.unwrap()
}

fn builder(provider: &Provider) -> &Lambda {
    provider.builder.as_ref().unwrap()
}
