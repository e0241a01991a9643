//! Signals to `soci-docker`, before and after the container CLI has ended.

use std::{
    fs,
    io::{Read, Write},
    process::{Command, Stdio},
};

use soci_testing::{
    fake_registry::{FakeRegistry, Fault, Route},
    image::{Image, Layer},
    program::{Running, wait_until},
};

use crate::{Cli, Said, output, push};

/// A push by a container CLI that reads lines of `$FIFO` for ever, once it has begun to.
fn pushing(cli: &Cli) -> Running {
    let fifo = cli.path("fifo");
    let made = Command::new("mkfifo").arg(&fifo).status().unwrap();
    assert!(made.success());
    let mut running = cli
        .call(["push", "r.example/app"])
        .env("FIFO", &fifo)
        .start();
    running.prints();
    running
}

#[test]
fn a_push_gets_those_that_are_sent_to_its_caller() {
    for (signal, number) in [("HUP", 1), ("INT", 2), ("QUIT", 3), ("TERM", 15)] {
        // It ends by the signal after it has noted it.
        let wait = format!(
            "trap 'echo {signal}; trap - {signal}; kill -{signal} $$' {signal}
            exec 3<>\"$FIFO\"; echo ready; while :; do read line <&3; done"
        );
        let cli = Cli::docker(&wait);
        let running = pushing(&cli);
        running.signal(signal);
        let ended = running.wait();
        assert_eq!(
            (ended.code, ended.signal),
            (None, Some(number)),
            "{ended:?}"
        );
        assert_eq!(ended.stdout, format!("eady\n{signal}\n"), "{ended:?}");
    }
}

#[test]
fn a_push_may_end_well_in_spite_of_one() {
    let cli = Cli::docker(
        "trap 'exit 0' TERM; exec 3<>\"$FIFO\"; echo ready; while :; do read line <&3; done",
    );
    let running = pushing(&cli);
    running.signal("TERM");
    assert_eq!(running.wait().exits(0).stderr, "");
}

/// The terminal sends Ctrl-C to all processes of its foreground group, and so to a container CLI, which would get it twice. This one is not in
/// the group. SIGTERM is sent to its caller afterwards, and passed on.
#[test]
fn ctrl_c_is_not_passed_on() {
    let cli = Cli::docker(
        "exec setsid sh -c '
            trap \"echo interrupted\" INT; trap \"echo terminated; exit\" TERM
            echo ready; read line; kill -TERM $PPID
            while :; do read line; done'",
    );
    let line = format!("'{}' push r.example/app", cli.path("soci-docker").display());
    let mut script = Command::new("script")
        .args(["-qec", &line, "/dev/null"])
        .env(
            "PATH",
            format!("{}:/usr/bin:/bin", cli.folder.path().display()),
        )
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut keys, mut screen) = (script.stdin.take().unwrap(), script.stdout.take().unwrap());
    let mut printed = String::new();
    let mut shows = |words: &str| {
        while !printed.contains(words) {
            let mut byte = [0];
            assert_eq!(screen.read(&mut byte).unwrap(), 1, "{printed}");
            printed.push(char::from(byte[0]));
        }
        printed.contains("interrupted")
    };
    shows("ready");
    keys.write_all(b"\x03go on\n").unwrap();
    assert!(!shows("terminated"));
    script.wait().unwrap();
}

#[test]
fn one_after_the_push_stops_the_index_and_leaves_the_push() {
    for (signal, strict) in [("INT", ""), ("TERM", ""), ("HUP", ""), ("TERM", "1")] {
        let registry = FakeRegistry::start();
        let layer = Layer::noise(1, 300_000);
        Image::of([&layer]).push(&registry, "v1");
        let fault = Fault::Silence { after: 100_000 };
        registry.fail(Route::ReadBlob, fault).always();
        let (_cli, program) = push(&registry, "v1");
        let running = program.env("SOCI_DOCKER_STRICT", strict).start();
        wait_until(|| registry.served(&layer.digest) >= 100_000);
        running.signal(signal);
        let ended = running.wait().exits(i32::from(!strict.is_empty()));
        let _ = ended.said(&[
            "was pushed, but has no index",
            &format!("stopped by SIG{signal}"),
        ]);
        assert_eq!(output(&registry), None);
    }
}

/// A push whose index does not come to its end.
fn hanging() -> (FakeRegistry, Cli, Running) {
    let registry = FakeRegistry::start();
    let layer = Layer::noise(1, 300_000);
    Image::of([&layer]).push(&registry, "v1");
    let fault = Fault::Silence { after: 100_000 };
    registry.fail(Route::ReadBlob, fault).always();
    let (cli, program) = push(&registry, "v1");
    let running = program.start();
    wait_until(|| registry.served(&layer.digest) >= 100_000);
    (registry, cli, running)
}

fn kill(process: u32) {
    let sent = Command::new("kill")
        .args(["-s", "KILL", &process.to_string()])
        .status();
    assert!(sent.unwrap().success());
}

/// Whether a process is gone, though nobody may have waited for it.
fn is_gone(process: u32) -> bool {
    let status = fs::read_to_string(format!("/proc/{process}/status"));
    status.map_or(true, |status| status.contains("State:\tZ"))
}

#[test]
fn an_indexer_that_is_killed_leaves_the_push() {
    let (registry, _cli, running) = hanging();
    kill(running.child().unwrap());
    let ended = running.wait().exits(0);
    let _ = ended.said(&["has no index: indexing failed: signal: 9 (SIGKILL)"]);
    assert_eq!(output(&registry), None);
}

#[test]
fn killed_itself_it_takes_the_indexer_along() {
    let (registry, _cli, running) = hanging();
    let indexer = running.child().unwrap();
    running.signal("KILL");
    wait_until(|| is_gone(indexer));
    assert_eq!(running.wait().signal, Some(9));
    assert_eq!(output(&registry), None);
}

#[test]
fn an_index_has_the_time_that_it_is_given() {
    let registry = FakeRegistry::start();
    Image::of([&Layer::noise(1, 300_000)]).push(&registry, "v1");
    let fault = Fault::Silence { after: 0 };
    registry.fail(Route::ReadBlob, fault).always();
    let (_cli, program) = push(&registry, "v1");
    let ended = program.env("SOCI_TIMEOUT", "100ms").run().exits(0);
    let _ = ended.said(&[
        "was pushed, but has no index",
        "timed out after 0.1 s (SOCI_TIMEOUT)",
    ]);
}
