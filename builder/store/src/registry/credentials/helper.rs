//! Credential helpers: programs that keep credentials for docker and podman.
//! In: a helper's name and a key. Out: what it keeps under that key. What it prints is never shown, and it is not waited for for ever.

use std::{
    io,
    process::{ExitStatus, Stdio},
    time::{Duration, Instant},
};

use serde::Deserialize;
use soci_format::limits::Limits;
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWriteExt},
    process::Command,
};

use super::Credentials;
use crate::registry::log::Log;

/// Enough for one that asks its user for a password; far more than any that asks a service.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Why a helper failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum HelperError {
    #[error("{program} not found in PATH")]
    Missing { program: String },
    #[error("cannot run {program}: {reason}")]
    Run { program: String, reason: io::Error },
    #[error("{program} failed with {status}; run `echo {key} | {program} get` to see why")]
    Failed {
        program: String,
        key: String,
        status: ExitStatus,
    },
    #[error("{program} timed out: no response for {} s", TIMEOUT.as_secs())]
    Silent { program: String },
    #[error("{program} returned more than {} bytes", Limits::TOKEN_BYTES)]
    TooLong { program: String },
    #[error(
        "{program} did not return credentials as JSON; run `echo {key} | {program} get` to see its output"
    )]
    Form { program: String, key: String },
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct HelperCredentials {
    #[serde(default)]
    username: Option<String>,
    #[serde(default)]
    secret: Option<String>,
}

/// What a helper printed, and its exit status.
struct HelperOutput {
    status: ExitStatus,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

/// What the helper `docker-credential-<name>` keeps under `key`; `None` where that is nothing.
pub(super) async fn ask(
    name: &str,
    key: &str,
    log: &Log,
) -> Result<Option<Credentials>, HelperError> {
    let program = format!("docker-credential-{name}");
    let started = Instant::now();
    let answer = tokio::time::timeout(TIMEOUT, run(&program, key)).await;
    let answer = match answer {
        Ok(output) => output.and_then(|output| parse_output(program.clone(), key, &output)),
        Err(_) => Err(HelperError::Silent {
            program: program.clone(),
        }),
    };
    log.line(|| {
        let outcome = match &answer {
            Ok(Some(_)) => "credentials".to_owned(),
            Ok(None) => "none".to_owned(),
            Err(failure) => failure.to_string(),
        };
        let seconds = started.elapsed().as_secs_f64();
        format!("{program} get {key}: {outcome} ({seconds:.3} s)")
    });
    answer
}

/// Runs it; it is killed where its answer is not waited for.
async fn run(program: &str, key: &str) -> Result<HelperOutput, HelperError> {
    let fail = |reason: io::Error| match reason.kind() {
        io::ErrorKind::NotFound => HelperError::Missing {
            program: program.to_owned(),
        },
        io::ErrorKind::FileTooLarge => HelperError::TooLong {
            program: program.to_owned(),
        },
        _ => HelperError::Run {
            program: program.to_owned(),
            reason,
        },
    };
    let mut child = Command::new(program)
        .arg("get")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .map_err(fail)?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that needs no key may be gone before it is told.
        let _ = stdin.write_all(format!("{key}\n").as_bytes()).await;
    }
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (stdout, stderr) = tokio::try_join!(read(stdout), read(stderr)).map_err(fail)?;
    let status = child.wait().await.map_err(fail)?;
    Ok(HelperOutput {
        status,
        stdout,
        stderr,
    })
}

async fn read(from: Option<impl AsyncRead + Unpin>) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    if let Some(from) = from {
        let mut from = from.take(Limits::TOKEN_BYTES + 1);
        from.read_to_end(&mut bytes).await?;
    }
    if bytes.len() as u64 > Limits::TOKEN_BYTES {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    Ok(bytes)
}

fn parse_output(
    program: String,
    key: &str,
    output: &HelperOutput,
) -> Result<Option<Credentials>, HelperError> {
    let key = key.to_owned();
    if !output.status.success() {
        // The sentence by which every helper says that it has nothing; most print it on stdout.
        let has_nothing = [&output.stdout, &output.stderr].into_iter().any(|text| {
            let text = String::from_utf8_lossy(text).to_lowercase();
            text.contains("credentials not found")
        });
        let status = output.status;
        return match has_nothing {
            true => Ok(None),
            false => Err(HelperError::Failed {
                program,
                key,
                status,
            }),
        };
    }
    let kept: HelperCredentials =
        serde_json::from_slice(&output.stdout).map_err(|_| HelperError::Form { program, key })?;
    let text = |of: Option<String>| of.unwrap_or_default();
    Ok(Credentials::of_user(
        &text(kept.username),
        &text(kept.secret),
    ))
}
