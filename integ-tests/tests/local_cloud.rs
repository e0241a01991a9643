//! The local cloud leaves nothing behind, however it ends; and it starts no function that Lambda would not.

#![allow(
    clippy::unwrap_used,
    reason = "a test ends where something unexpected happens"
)]

use std::{
    fs,
    io::{Cursor, Write},
    path::Path,
    process::Stdio,
    time::{Duration, Instant},
};

use aws_sdk_lambda::{
    Client,
    config::Credentials,
    primitives::Blob,
    types::{FunctionCode, Runtime},
};
use local_cloud::{
    account::REGION,
    control_plane::{LocalCloud, Options},
};
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use zip::{ZipWriter, write::SimpleFileOptions};

const LIMIT: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(20);

/// Command lines of processes that run in a folder's name.
fn processes_of(folder: &Path) -> Vec<String> {
    let folder = folder.to_str().unwrap();
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let commands = entries.filter_map(|entry| fs::read(entry.path().join("cmdline")).ok());
    let commands = commands.map(|bytes| String::from_utf8_lossy(&bytes).replace('\0', " "));
    commands
        .filter(|command| command.contains(folder))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_of_a_bootstrapped_cloud() {
    let cloud = LocalCloud::start(Options::default()).await.unwrap();
    cloud.cdk().bootstrap().await.unwrap();
    assert_eq!(cloud.stacks().names().await.unwrap(), ["CDKToolkit"]);
    let folder = cloud.folder().to_owned();
    assert_eq!(processes_of(&folder).len(), 1, "the emulator");
    drop(cloud);
    assert_eq!(processes_of(&folder), [""; 0]);
    assert!(!folder.exists());
}

#[tokio::test]
async fn a_started_cloud_can_be_stopped_from_beside() {
    let program = env!("CARGO_BIN_EXE_local-cloud");
    let mut cloud = tokio::process::Command::new(program)
        .arg("start")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(cloud.stdout.take().unwrap()).lines();
    let mut address = None;
    while address.is_none() {
        let line = lines.next_line().await.unwrap().expect("the environment");
        address = line
            .strip_prefix("export LOCAL_CLOUD='")
            .map(|rest| rest.trim_end_matches('\'').to_owned());
    }
    let children = children(cloud.id().unwrap());
    assert!(!children.is_empty());

    let stop = tokio::process::Command::new(program)
        .arg("stop")
        .env("LOCAL_CLOUD", address.unwrap())
        .status();
    assert!(stop.await.unwrap().success());
    for (pid, command) in children {
        assert!(!runs(pid), "{command}");
    }
    assert!(cloud.wait().await.unwrap().success());
}

/// A test that is killed has no chance to tidy up.
#[tokio::test]
async fn the_emulator_ends_with_whoever_started_it() {
    let folder = tempfile::tempdir().unwrap();
    let program = env!("CARGO_BIN_EXE_local-cloud");
    let mut parent = tokio::process::Command::new(program)
        .args(["run", "--", "cat"])
        .env("TMPDIR", folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    // `cat` answers once all is up.
    let mut input = parent.stdin.take().unwrap();
    let mut output = parent.stdout.take().unwrap();
    input.write_all(b"up").await.unwrap();
    let mut answer = [0; 2];
    output.read_exact(&mut answer).await.unwrap();
    let children = children(parent.id().unwrap());
    let emulator = children
        .iter()
        .find(|(_, command)| command.contains("launch.py"));
    let (emulator, command) = emulator.unwrap();
    let launch = command.split('\0').find(|word| word.ends_with("launch.py"));
    parent.kill().await.unwrap();
    let limit = Instant::now() + LIMIT;
    while runs(*emulator) && Instant::now() < limit {
        tokio::time::sleep(PAUSE).await;
    }
    assert!(!runs(*emulator));

    // What a killed program does leave, for as long as it is nobody's but the machine's: the registry, and its files.
    for (pid, _) in &children {
        let mut kill = tokio::process::Command::new("kill");
        let _ = kill
            .arg(pid.to_string())
            .stderr(Stdio::null())
            .status()
            .await;
    }
    fs::remove_dir_all(Path::new(launch.unwrap()).parent().unwrap()).unwrap();
}

/// Lambda runs a function as a user that owns nothing, and gives a file no mode that it has not in its zip.
#[tokio::test(flavor = "multi_thread")]
async fn a_bootstrap_that_others_cannot_run_is_refused_as_lambda_does() {
    let cloud = LocalCloud::start(Options::default()).await.unwrap();
    let lambda = lambda(&cloud).await;
    assert_eq!(invoked(&lambda, 0o755).await, json!({ "made": 7 }));
    assert_eq!(invoked(&lambda, 0o555).await, json!({ "made": 7 }));
    // What the CLI makes of a folder under umask 077, on Windows and without a run bit; and what cannot be read.
    for mode in [0o700, 0o750, 0o666, 0o644, 0o711] {
        let refused = invoked(&lambda, mode).await;
        assert_eq!(
            refused["errorType"], "Runtime.InvalidEntrypoint",
            "{mode:o}"
        );
        let words = refused["errorMessage"].as_str().unwrap();
        assert!(
            words.starts_with("RequestId: ")
                && words.ends_with(" Error: fork/exec /var/task/bootstrap: permission denied"),
            "{mode:o}: {words}"
        );
    }
}

async fn lambda(cloud: &LocalCloud) -> Client {
    let config = aws_config::defaults(aws_config::BehaviorVersion::latest())
        .region(REGION)
        .endpoint_url(cloud.account().address())
        .credentials_provider(Credentials::new(
            "000000000000",
            "secret",
            None,
            None,
            "test",
        ))
        .load();
    Client::new(&config.await)
}

/// What a function says whose `bootstrap` has this mode in its zip.
async fn invoked(lambda: &Client, mode: u32) -> Value {
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support/bootstrap.py");
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().unix_permissions(mode);
    zip.start_file("bootstrap", options).unwrap();
    zip.write_all(&fs::read(program).unwrap()).unwrap();
    let zip = Blob::new(zip.finish().unwrap().into_inner());
    let name = format!("mode-{mode:o}");
    let made = lambda
        .create_function()
        .function_name(&name)
        .role("arn:aws:iam::000000000000:role/function")
        .runtime(Runtime::Providedal2023)
        .handler("bootstrap")
        .code(FunctionCode::builder().zip_file(zip).build());
    made.send().await.unwrap();
    let event = json!({ "what": "return", "number": 7 }).to_string();
    let answer = lambda
        .invoke()
        .function_name(name)
        .payload(Blob::new(event))
        .send();
    serde_json::from_slice(answer.await.unwrap().payload().unwrap().as_ref()).unwrap()
}

fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let state = stat
        .rsplit_once(") ")
        .map(|(_, rest)| rest.starts_with('Z'));
    state == Some(false)
}

/// Number and command line of each child of a process.
fn children(parent: u32) -> Vec<(u32, String)> {
    let entries = fs::read_dir("/proc").unwrap().flatten();
    let numbers = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let child = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let own: u32 = stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()?;
        let command = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
        (own == parent).then(|| (pid, String::from_utf8_lossy(&command).into_owned()))
    };
    numbers.filter_map(child).collect()
}
