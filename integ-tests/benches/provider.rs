//! The provider's figures: printed, not asserted, for they depend on the machine. Run by `scripts/measure-provider`, with release
//! builds.
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot go on fails")]
#![allow(clippy::print_stdout, reason = "the figures are its output")]

#[path = "../tests/support/mod.rs"]
mod support;

use std::{fs, io::Write, time::Duration};

use flate2::{Compression, write::DeflateEncoder};
use local_cloud::{
    codebuild::{Phase, Script},
    faults::Gate,
    image::{Image, Layer, Types},
    programs,
    stage::{Event, Options, Provider, REPOSITORY, Scene},
};
use tokio::time::Instant;

use support::{LIMIT, ask, builds_of, scene, succeeded};

/// Nothing is shortened here.
const REAL: Options = Options {
    pace: 1.0,
    timeout: Duration::from_secs(900),
    retry_pause: Duration::from_secs(60),
};

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

fn say(what: &str, figure: &str) {
    println!("{what:<44} {figure}");
}

fn millis(time: Duration) -> String {
    format!("{:.0} ms", time.as_secs_f64() * 1e3)
}

async fn provider(scene: &Scene) -> Provider {
    scene.provider("Keep", REAL).await.unwrap()
}

#[tokio::main]
async fn main() {
    let program = fs::read(programs::provider()).unwrap();
    let mut zip = DeflateEncoder::new(Vec::new(), Compression::best());
    zip.write_all(&program).unwrap();
    say("program", &format!("{:.2} MB", program.len() as f64 / 1e6));
    say(
        "zip",
        &format!("{:.2} MB", zip.finish().unwrap().len() as f64 / 1e6),
    );

    let scene = scene().await;
    let first = provider(&scene).await;
    succeeded(&ask(&first, &first.create()).await);
    starts(&scene).await;
    builder_function().await;
    watches(&scene).await;
}

/// The event to the answer where the builder function builds: its start, an image of several layers, a layer that is new.
async fn builder_function() {
    let scene = scene().await;
    let provider = scene.provider("Function", REAL).await.unwrap();
    let builder = provider.builder.as_ref().unwrap();
    let time = async |event: &Event, what: &str| {
        let begun = Instant::now();
        provider.deliver(event);
        let answer = provider.answer(event, LIMIT).await.unwrap();
        succeeded(&answer);
        say(what, &millis(answer.at - begun));
        provider.lambda.quiet(LIMIT).await.unwrap();
        answer
    };
    time(&provider.create(), "function, 30 kB, both functions cold").await;
    time(&provider.create(), "function, index is there").await;

    let mut layers: Vec<_> = (0..4).map(|seed| Layer::noise(seed, 32 << 20)).collect();
    let push = async |layers: &[Layer], tag: &str| {
        let image = Image::of(Types::Oci, layers);
        image.push(&scene.cloud, REPOSITORY, tag).await.unwrap();
    };
    push(&layers, "large").await;
    let large = provider
        .create()
        .with("InputImageTag", "large")
        .with("OutputImageTag", "large-soci");
    let created = time(&large, "function, 4 layers of 32 MiB").await;
    layers.push(Layer::noise(9, 16 << 20));
    push(&layers, "larger").await;
    let larger = provider
        .update(&large, created.text("PhysicalResourceId"))
        .with("InputImageTag", "larger")
        .with("OutputImageTag", "larger-soci");
    time(&larger, "function, a new layer of 16 MiB").await;
    let peak = builder.peak_memory_kib().unwrap_or_default();
    let peak = format!("{:.1} MiB", peak as f64 / 1024.0);
    say("function, peak memory (VmHWM)", &peak);
}

/// Start of the process to its first call, and an index that is there.
async fn starts(scene: &Scene) {
    let (mut first_calls, mut cold, mut warm) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..15 {
        let provider = provider(scene).await;
        for times in [&mut cold, &mut warm] {
            let event = provider.create();
            let begun = Instant::now();
            provider.deliver(&event);
            let answer = provider.answer(&event, LIMIT).await.unwrap();
            assert_eq!(answer.data("Outcome"), "already-there");
            times.push(answer.at - begun);
        }
        first_calls.push(provider.calls.all()[0].at - provider.lambda.started()[0]);
    }
    say("cold start to first call", &millis(median(first_calls)));
    say("index is there, to answer, cold", &millis(median(cold)));
    say("index is there, to answer, warm", &millis(median(warm)));
}

/// A build's end to the answer.
async fn watches(scene: &Scene) {
    let mut late = Vec::new();
    let mut peak = 0;
    for number in 0..5_u64 {
        let provider = provider(scene).await;
        let gate = Gate::closed();
        scene
            .cloud
            .codebuild()
            .next_build(Script::new().held_in(Phase::Build, &gate));
        let event = provider
            .create()
            .with("OutputImageTag", format!("watched-{number}"));
        provider.deliver(&event);
        gate.reached().await;
        // Long enough for the looks to become rare; each time other moments between two of them.
        tokio::time::sleep(Duration::from_millis(12_000 + 900 * number)).await;
        gate.open();
        builds_of(scene, &event)[0].finished().await;
        let ended = Instant::now();
        let answer = provider.answer(&event, LIMIT).await.unwrap();
        late.push(answer.at - ended);
        peak = peak.max(provider.lambda.peak_memory_kib().unwrap_or_default());
    }
    let most = late.iter().max().copied().unwrap_or_default();
    say("build end to answer, median of 5", &millis(median(late)));
    say("build end to answer, longest of 5", &millis(most));
    say(
        "peak memory (VmHWM)",
        &format!("{:.1} MiB", peak as f64 / 1024.0),
    );
}
