//! The command line of a container CLI: docker, podman, buildah, nerdctl or finch. In: arguments. Out: whether they push an image, where to,
//! and which credentials they name. An option that is not known here is taken for one without a value: at worst, an image gets no index.

use std::{
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::PathBuf,
    slice,
};

/// Options that have a value, in the next argument or behind `=`.
struct WithValue {
    /// One letter each; the value may follow the letter.
    letters: &'static str,
    words: &'static [&'static str],
}

/// Options before the command.
#[rustfmt::skip]
const GLOBAL: WithValue = WithValue {
    letters: "Hacln",
    words: &[
        "address", "bridge-ip", "cdi-spec-dirs", "cgroup-manager", "cni-netconfpath", "cni-path", "config", "conmon", "connection", "context",
        "data-root", "default-mounts-file", "events-backend", "hooks-dir", "host", "host-gateway-ip", "hosts-dir", "identity", "imagestore",
        "log-level", "module", "namespace", "network-cmd-path", "network-config-dir", "out", "registries-conf", "registries-conf-dir", "root",
        "runroot", "runtime", "runtime-flag", "short-name-alias-conf", "snapshotter", "ssh", "storage-driver", "storage-opt", "tlscacert",
        "tlscert", "tlskey", "tmpdir", "url", "userns-gid-map", "userns-uid-map", "volumepath",
    ],
};

/// Options of `push`.
#[rustfmt::skip]
const OF_PUSH: WithValue = WithValue {
    letters: "f",
    words: &[
        "add-compression", "authfile", "blob-cache", "cert-dir", "compression-format", "compression-level", "cosign-key", "creds",
        "digestfile", "encrypt-layer", "encryption-key", "format", "ipfs-address", "notation-key-name", "platform", "retry", "retry-delay",
        "sign", "sign-by", "sign-by-sigstore", "sign-by-sigstore-private-key", "sign-passphrase-file", "signature-policy",
        "soci-min-layer-size", "soci-span-size",
    ],
};

/// A command line that pushes an image.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Push {
    /// Where to, as it was written.
    pub(super) destination: OsString,
    /// Whether all local tags of the repository are pushed, and `destination` is the repository.
    pub(super) all_tags: bool,
    /// `--config`: the directory of docker's configuration.
    pub(super) config: Option<PathBuf>,
    /// `--authfile`: podman's and buildah's file with credentials.
    pub(super) auth_file: Option<PathBuf>,
    /// `--creds`: `user:password`, of podman and buildah.
    pub(super) credentials: Option<OsString>,
}

impl Push {
    /// Reads `[OPTION]… [image] push [OPTION]… IMAGE [DESTINATION]`; `None` for any other command.
    pub(super) fn parse(arguments: &[OsString]) -> Option<Self> {
        let mut push = Self::default();
        let mut words = Words {
            arguments: arguments.iter(),
            only_plain: false,
        };
        let mut command = push.next_command(&mut words)?;
        if command == "image" {
            command = push.next_command(&mut words)?;
        }
        if command != "push" {
            return None;
        }
        while let Some(word) = words.next(&OF_PUSH) {
            match word {
                // An image alone is its own destination.
                Word::Plain(text) => push.destination = text.to_owned(),
                Word::Letters(letters) if letters.contains('h') => return None,
                Word::Letters(letters) => push.all_tags |= letters.contains('a'),
                Word::Option(b"help", _) => return None,
                Word::Option(name, value) => push.option(name, value),
            }
        }
        (!push.destination.is_empty()).then_some(push)
    }

    /// The first argument that is neither an option nor the value of one.
    fn next_command<'a>(&mut self, words: &mut Words<'a>) -> Option<&'a OsStr> {
        loop {
            match words.next(&GLOBAL)? {
                Word::Plain(text) => return Some(text),
                Word::Letters(_) => {}
                Word::Option(name, value) => self.option(name, value),
            }
        }
    }

    fn option(&mut self, name: &[u8], value: Option<&OsStr>) {
        match (name, value) {
            (b"all-tags", value) => self.all_tags = value.is_none_or(|value| value != "false"),
            (b"config", Some(value)) => self.config = Some(value.into()),
            (b"authfile", Some(value)) => self.auth_file = Some(value.into()),
            (b"creds", Some(value)) => self.credentials = Some(value.into()),
            _ => {}
        }
    }
}

/// One or two arguments that belong together.
enum Word<'a> {
    Plain(&'a OsStr),
    /// Options of one letter without a value.
    Letters(&'a str),
    /// Another option without its dashes.
    Option(&'a [u8], Option<&'a OsStr>),
}

/// Arguments, from left to right.
struct Words<'a> {
    arguments: slice::Iter<'a, OsString>,
    /// Whether `--` was met: no options follow.
    only_plain: bool,
}

impl<'a> Words<'a> {
    fn next(&mut self, with_value: &WithValue) -> Option<Word<'a>> {
        let argument = self.arguments.next()?.as_os_str();
        let dashed = argument.as_bytes().strip_prefix(b"-");
        Some(match dashed {
            Some(letters) if !self.only_plain && !letters.is_empty() => {
                match letters.strip_prefix(b"-") {
                    Some([]) => {
                        self.only_plain = true;
                        return self.next(with_value);
                    }
                    Some(option) => self.option(option, with_value),
                    None => self.letters(letters, with_value),
                }
            }
            _ => Word::Plain(argument),
        })
    }

    fn option(&mut self, option: &'a [u8], with_value: &WithValue) -> Word<'a> {
        if let Some(at) = option.iter().position(|&byte| byte == b'=') {
            let (name, value) = (&option[..at], &option[at + 1..]);
            return Word::Option(name, Some(OsStr::from_bytes(value)));
        }
        let has_value = with_value
            .words
            .iter()
            .any(|word| word.as_bytes() == option);
        let value = if has_value {
            self.arguments.next()
        } else {
            None
        };
        Word::Option(option, value.map(OsString::as_os_str))
    }

    fn letters(&mut self, letters: &'a [u8], with_value: &WithValue) -> Word<'a> {
        let has_value = |letter: &u8| with_value.letters.as_bytes().contains(letter);
        let value_of = letters.iter().position(has_value);
        if value_of.is_some_and(|at| at + 1 == letters.len()) {
            self.arguments.next();
        }
        let flags = &letters[..value_of.unwrap_or(letters.len())];
        // Others than ASCII are no options, and no matter what they are.
        Word::Letters(std::str::from_utf8(flags).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &str) -> Option<Push> {
        let arguments: Vec<OsString> = line.split_whitespace().map(OsString::from).collect();
        Push::parse(&arguments)
    }

    #[track_caller]
    fn destination(line: &str) -> String {
        let push = parse(line).unwrap();
        assert!(!push.all_tags, "{line}");
        push.destination.into_string().unwrap()
    }

    #[test]
    fn a_push_is_known_with_any_options_around_it() {
        for line in [
            "push r.example/app:v1",
            "image push r.example/app:v1",
            "--config dir push r.example/app:v1",
            "--config=dir push --quiet r.example/app:v1",
            "-D -H unix:///run/docker.sock --context push image push -q r.example/app:v1",
            "-cpush push r.example/app:v1 --platform linux/amd64",
            "--log-level debug push --disable-content-trust=false -- r.example/app:v1",
            "push --all-tags=false r.example/app:v1",
            "--storage-driver vfs push --tls-verify=false -f v2s2 local r.example/app:v1",
            "push -qfoci --digestfile d local r.example/app:v1",
        ] {
            assert_eq!(destination(line), "r.example/app:v1", "{line}");
        }
        let to_registry = "push --creds u:p app:v1 docker://r.example/app:v1";
        assert_eq!(destination(to_registry), "docker://r.example/app:v1");
    }

    #[test]
    fn other_commands_are_none() {
        for line in [
            "",
            "--version",
            "build --tag push .",
            "run push r.example/app",
            "image ls push",
            "image",
            "--context push ps",
            "manifest push list docker://r.example/app:v1",
            "compose push",
            "push",
            "push --help r.example/app:v1",
            "push -h",
            "push --quiet",
        ] {
            assert_eq!(parse(line), None, "{line}");
        }
    }

    #[test]
    fn all_tags_are_told_apart() {
        for line in [
            "push -a r.example/app",
            "push -qa r.example/app",
            "push r.example/app --all-tags",
        ] {
            assert!(parse(line).unwrap().all_tags, "{line}");
        }
    }

    #[test]
    fn credentials_are_those_of_the_command() {
        let docker = parse("--config dir push r.example/app:v1").unwrap();
        assert_eq!(docker.config, Some("dir".into()));
        let buildah = parse("push --authfile=file --creds u:p app r.example/app:v1").unwrap();
        assert_eq!(buildah.auth_file, Some("file".into()));
        assert_eq!(buildah.credentials, Some("u:p".into()));
    }

    #[test]
    fn bytes_that_are_no_text_do_not_hide_a_push() {
        let bytes: [&[u8]; 5] = [
            b"--config=\xff",
            b"push",
            b"-\xff",
            b"--\xff",
            b"r.example/\xff",
        ];
        let arguments = bytes.map(|bytes| OsStr::from_bytes(bytes).to_owned());
        let push = Push::parse(&arguments).unwrap();
        assert_eq!(push.destination.as_bytes(), b"r.example/\xff");
        assert_eq!(push.config.unwrap().as_os_str().as_bytes(), b"\xff");
    }
}
