//! The program as `soci-docker`, with shell scripts as container CLIs, and a registry that plays ECR's.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod credentials;
mod failures;
mod handed_on;
mod indexed;
mod signals;

use std::{
    ffi::OsStr,
    fs,
    os::unix::{ffi::OsStrExt, fs::PermissionsExt},
    path::{Path, PathBuf},
};

use soci_testing::{
    fake_registry::FakeRegistry,
    image::REPOSITORY,
    program::{Ended, Program, built},
    scratch::scratch,
};
use tempfile::TempDir;

/// What the registry of a test is called.
const HOST: &str = "123456789012.dkr.ecr.eu-west-1.amazonaws.com";

/// A folder for `PATH` with `soci-docker` and a container CLI.
struct Cli {
    folder: TempDir,
}

impl Cli {
    /// With a `docker` that notes its arguments, and does what the lines of shell say.
    fn docker(script: &str) -> Self {
        Self::named("docker", script)
    }

    fn named(name: &str, script: &str) -> Self {
        let folder = scratch();
        let link = folder.path().join("soci-docker");
        std::os::unix::fs::symlink(built("soci-builder"), link).unwrap();
        let cli = Self { folder };
        let noted = cli.path("arguments");
        let note = format!("printf '%s\\0' \"$@\" >'{}'", noted.display());
        write_script(&cli.path(name), &format!("{note}\n{script}"));
        cli
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// `soci-docker` with these arguments.
    fn call<I: IntoIterator<Item: AsRef<OsStr>>>(&self, arguments: I) -> Program {
        Program::at(&self.path("soci-docker"), arguments)
            .env(
                "PATH",
                format!("{}:/usr/bin:/bin", self.folder.path().display()),
            )
            .env("AWS_EC2_METADATA_DISABLED", "true")
    }

    /// The arguments with which the CLI was called, each ended by a zero byte; none where it was not.
    fn arguments(&self) -> Option<Vec<u8>> {
        fs::read(self.path("arguments")).ok()
    }
}

fn write_script(path: &Path, script: &str) {
    fs::write(path, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}

/// An image's name in the registry of a test.
fn in_ecr(tag: &str) -> String {
    format!("{HOST}/{REPOSITORY}:{tag}")
}

/// Pushes with a `docker` that does nothing: the image is there.
fn push(registry: &FakeRegistry, tag: &str) -> (Cli, Program) {
    let cli = Cli::docker("");
    let program = in_registry(cli.call(["push", &in_ecr(tag)]), registry);
    (cli, program)
}

/// Where all layers are indexed, and the registry is that of the test.
fn in_registry(program: Program, registry: &FakeRegistry) -> Program {
    let mirror = format!("{HOST}={}", registry.url());
    program
        .env("SOCI_REGISTRY_MIRROR", mirror)
        .env("SOCI_MIN_LAYER_SIZE", "0")
}

/// The tag that an image has then.
const OUTPUT: &str = "v1-soci-b1aec400";

fn output(registry: &FakeRegistry) -> Option<String> {
    let tagged = registry.tagged(REPOSITORY, OUTPUT);
    tagged.map(|(digest, _)| digest.to_string())
}

trait Said {
    /// Asserts that the push succeeded, and that all that was said is one line with these words.
    fn said(self, words: &[&str]) -> Self;
}

impl Said for Ended {
    #[track_caller]
    fn said(self, words: &[&str]) -> Self {
        assert_eq!(self.stdout, "", "{self:?}");
        assert_eq!(self.stderr.lines().count(), 1, "{self:?}");
        assert!(self.stderr.starts_with("soci-docker: "), "{self:?}");
        for word in words {
            assert!(self.stderr.contains(word), "no {word:?} in {}", self.stderr);
        }
        self
    }
}

fn bytes(text: &[u8]) -> &OsStr {
    OsStr::from_bytes(text)
}
