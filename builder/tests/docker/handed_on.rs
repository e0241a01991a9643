//! What the container CLI gets, and what becomes of its end: as if it had been called itself, whether it pushes or not.

use std::{
    fs::File,
    io::{Seek, Write},
    os::unix::process::CommandExt,
    process::{Command, Stdio},
};

use crate::{Cli, bytes, write_script};

/// One command that pushes, to no registry of ECR, and one that does not.
const COMMANDS: [&[&str]; 2] = [&["push", "r.example/app"], &["build", "--tag", "x", "."]];

#[test]
fn arguments_byte_for_byte() {
    for command in COMMANDS {
        let cli = Cli::docker("");
        let odd: [&[u8]; 6] = [b"", b" ", b"a\nb", b"\xff\xfe", b"--x=\x80", "é".as_bytes()];
        let mut all: Vec<_> = command.iter().map(|word| bytes(word.as_bytes())).collect();
        all.extend(odd.map(bytes));
        let ended = cli.call(&all).run().exits(0);
        assert_eq!(ended.stderr, "");
        let expected = command.iter().map(|word| word.as_bytes()).chain(odd);
        let expected: Vec<u8> = expected.flat_map(|word| [word, b"\0"].concat()).collect();
        assert_eq!(cli.arguments().unwrap(), expected);
    }
}

#[test]
fn what_it_reads_and_prints() {
    for command in COMMANDS {
        let cli = Cli::docker("cat; echo 'an error' >&2; exit 7");
        let mut input = tempfile::tempfile().unwrap();
        input.write_all(b"secrets of a login\n").unwrap();
        input.rewind().unwrap();
        let ended = cli.call(command).stdin(input).run().exits(7);
        assert_eq!(ended.stdout, "secrets of a login\n");
        assert_eq!(ended.stderr, "an error\n");
    }
}

#[test]
fn exit_codes() {
    for command in COMMANDS {
        for code in [0, 1, 2, 125, 126, 127, 130, 255] {
            let ended = Cli::docker(&format!("exit {code}")).call(command).run();
            assert_eq!(ended.exits(code).stderr, "");
        }
    }
}

#[test]
fn deaths_by_signals() {
    for command in COMMANDS {
        for signal in [1, 2, 3, 6, 9, 11, 13, 15] {
            let cli = Cli::docker(&format!("kill -{signal} $$"));
            let ended = cli.call(command).run();
            assert_eq!(
                (ended.code, ended.signal),
                (None, Some(signal)),
                "{ended:?}"
            );
        }
    }
}

#[test]
fn environment_and_directory() {
    for command in COMMANDS {
        let cli = Cli::docker("echo \"$CDK_EXAMPLE $HOME\"; pwd");
        let ended = cli.call(command).env("CDK_EXAMPLE", "kept").run().exits(0);
        let [first, second] = ended.stdout.lines().collect::<Vec<_>>()[..] else {
            panic!("{ended:?}");
        };
        assert!(first.starts_with("kept /"), "{first}");
        assert!(second.ends_with("/working"), "{second}");
    }
}

#[test]
fn a_terminal() {
    for command in COMMANDS {
        let cli = Cli::docker(
            "for fd in 0 1 2; do [ -t $fd ] && echo \"$fd is a terminal\"; done; exit 3",
        );
        let line = format!(
            "'{}' {}",
            cli.path("soci-docker").display(),
            command.join(" ")
        );
        let output = Command::new("script")
            .args(["-qec", &line, "/dev/null"])
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", cli.folder.path().display()),
            )
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let printed = String::from_utf8_lossy(&output.stdout).replace('\r', "");
        assert_eq!(output.status.code(), Some(3), "{printed}");
        for fd in 0..3 {
            assert!(
                printed.contains(&format!("{fd} is a terminal\n")),
                "{printed}"
            );
        }
    }
}

#[test]
fn an_ignored_signal_stays_ignored() {
    for command in COMMANDS {
        let cli = Cli::docker("kill -HUP $$; echo still here");
        let script = cli.path("ignoring");
        let line = format!(
            "'{}' {}",
            cli.path("soci-docker").display(),
            command.join(" ")
        );
        write_script(&script, &format!("trap '' HUP\n{line}"));
        let output = Command::new(&script)
            .arg0("ignoring")
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", cli.folder.path().display()),
            )
            .output()
            .unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stdout), "still here\n");
    }
}

#[test]
fn closed_outputs() {
    for command in COMMANDS {
        let cli = Cli::docker("exit 4");
        let line = format!(
            "'{}' {} <&- >&- 2>&-",
            cli.path("soci-docker").display(),
            command.join(" ")
        );
        let status = Command::new("sh")
            .args(["-c", &line])
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", cli.folder.path().display()),
            )
            .status();
        assert_eq!(status.unwrap().code(), Some(4));
    }
}

#[test]
fn another_cli_by_its_name_or_path() {
    for command in COMMANDS {
        let cli = Cli::named("podman", "exit 5");
        let by_name = cli.call(command).env("SOCI_DOCKER", "podman");
        assert_eq!(by_name.run().exits(5).stderr, "");
        let by_path = cli.call(command).env("SOCI_DOCKER", cli.path("podman"));
        assert_eq!(by_path.run().exits(5).stderr, "");
    }
}

#[test]
fn a_cli_that_cannot_run_ends_as_in_a_shell() {
    for command in COMMANDS {
        let cli = Cli::named("podman", "");
        let missing = cli.call(command).env("SOCI_DOCKER", "absent").run();
        let missing = missing.exits(127);
        let expected =
            "soci-docker: container CLI absent not found; install it, or set SOCI_DOCKER";
        assert!(missing.stderr.starts_with(expected), "{missing:?}");

        File::create(cli.path("plain")).unwrap();
        let plain = cli.call(command).env("SOCI_DOCKER", cli.path("plain"));
        let plain = plain.run().exits(126);
        assert!(plain.stderr.contains("Permission denied"), "{plain:?}");
    }
}

#[test]
fn it_never_calls_itself() {
    for command in COMMANDS {
        let cli = Cli::named("podman", "");
        let own = cli.path("soci-docker");
        std::os::unix::fs::symlink(&own, cli.path("docker")).unwrap();
        for name in ["", "docker", "soci-docker", own.to_str().unwrap()] {
            let ended = cli.call(command).env("SOCI_DOCKER", name).run().exits(126);
            assert!(ended.stderr.contains("is soci-docker itself"), "{ended:?}");
        }
    }
}
