//! Options by environment: `SOCI_` and the name of a flag of `soci-builder index`. In: variables. Out: the flags, parsed as the program does.
//! Flags that change an index and that the constructs do not have are not among them: the deployment would not find that index.

use std::{
    env,
    ffi::{OsStr, OsString},
    os::unix::ffi::OsStrExt,
    path::Path,
};

use clap::{Parser, error::ErrorKind};

use crate::cli::{Cli, Command, RegistryArgs, index::IndexArgs};

/// How a variable holds what a flag takes.
#[derive(Clone, Copy)]
enum Form {
    /// One value.
    Value,
    /// Values, separated by this.
    List(u8),
    /// No value: `1` is on; `0`, `false` and the empty text are off.
    Switch,
}

const PLATFORM: &str = "SOCI_PLATFORM";
const PREFETCH_FILES_FROM: &str = "SOCI_PREFETCH_FILES_FROM";

/// Variables and their flags.
const VARIABLES: [(&str, &str, Form); 14] = [
    ("SOCI_INDEX_VERSION", "--index-version", Form::Value),
    ("SOCI_OUTPUT_TAG", "--output-tag", Form::List(b',')),
    (PLATFORM, "--platform", Form::List(b',')),
    ("SOCI_MIN_LAYER_SIZE", "--min-layer-size", Form::Value),
    ("SOCI_SPAN_SIZE", "--span-size", Form::Value),
    // Paths may have commas.
    ("SOCI_PREFETCH_FILE", "--prefetch-file", Form::List(b'\n')),
    (PREFETCH_FILES_FROM, "--prefetch-files-from", Form::Value),
    ("SOCI_REUSE_FROM", "--reuse-from", Form::Value),
    ("SOCI_WHEN_TOO_SMALL", "--when-too-small", Form::Value),
    ("SOCI_WHEN_UNSUPPORTED", "--when-unsupported", Form::Value),
    (
        "SOCI_REGISTRY_MIRROR",
        "--registry-mirror",
        Form::List(b','),
    ),
    ("SOCI_CERT_DIR", "--cert-dir", Form::Value),
    ("SOCI_TIMEOUT", "--timeout", Form::Value),
    ("SOCI_DEBUG", "--debug", Form::Switch),
];

/// What the environment asks for.
pub(super) struct Options {
    /// `SOCI_DOCKER_STRICT`: whether a push fails if its image gets no index.
    pub(super) is_strict: bool,
    pub(super) arguments: Result<Arguments, Invalid>,
}

/// The flags of `soci-builder index`; the image is another one.
pub(super) struct Arguments {
    pub(super) index: Box<IndexArgs>,
    pub(super) registry: RegistryArgs,
    /// As they are written: the construct's tag depends on that.
    pub(super) platforms: Vec<String>,
}

/// A variable that no flag takes.
#[derive(Debug, thiserror::Error)]
#[error("{variable} is not valid: {reason}")]
pub(super) struct Invalid {
    variable: &'static str,
    reason: String,
}

impl Options {
    pub(super) fn from_environment() -> Self {
        let value = |name: &str| env::var_os(name).filter(|value| !value.is_empty());
        Self {
            is_strict: value("SOCI_DOCKER_STRICT").is_some_and(|value| is_on(&value)),
            arguments: Arguments::of(value),
        }
    }
}

impl Arguments {
    fn of(value: impl Fn(&str) -> Option<OsString>) -> Result<Self, Invalid> {
        let mut all = Vec::new();
        for (variable, flag, form) in VARIABLES {
            let Some(value) = value(variable) else {
                continue;
            };
            let flags = flags(flag, &value, form);
            // Each alone, so that an error is that of this variable.
            let invalid = |reason| Invalid { variable, reason };
            parse(&flags).map_err(invalid)?;
            all.extend(flags);
        }
        let (index, registry) = parse(&all).map_err(|reason| Invalid {
            variable: "the combination of SOCI_ variables",
            reason,
        })?;
        if index.prefetch_files_from.as_deref() == Some(Path::new("-")) {
            return Err(Invalid {
                variable: PREFETCH_FILES_FROM,
                reason: "standard input is the container CLI's; name a file".to_owned(),
            });
        }
        let platforms = value(PLATFORM).unwrap_or_default();
        let platforms = split(&platforms, b',').map(|one| one.to_string_lossy().into_owned());
        let platforms = platforms.collect();
        Ok(Self {
            index,
            registry,
            platforms,
        })
    }
}

fn flags(flag: &str, value: &OsStr, form: Form) -> Vec<OsString> {
    let with = |value: &OsStr| {
        let mut flag = OsString::from(flag);
        flag.push("=");
        flag.push(value);
        flag
    };
    match form {
        Form::Value => vec![with(value)],
        Form::List(separator) => split(value, separator).map(with).collect(),
        Form::Switch if is_on(value) => vec![flag.into()],
        Form::Switch => Vec::new(),
    }
}

/// The parts of a list, without the spaces around them; empty ones are none.
fn split(list: &OsStr, separator: u8) -> impl Iterator<Item = &OsStr> {
    let parts = list.as_bytes().split(move |&byte| byte == separator);
    let parts = parts.map(<[u8]>::trim_ascii);
    parts.filter(|part| !part.is_empty()).map(OsStr::from_bytes)
}

fn is_on(value: &OsStr) -> bool {
    !["", "0", "false"].iter().any(|off| value == *off)
}

/// Parses flags as `soci-builder index` does. The error is clap's first line.
fn parse(flags: &[OsString]) -> Result<(Box<IndexArgs>, RegistryArgs), String> {
    let command = ["soci-builder", "index", "registry.example/image:tag"].map(OsString::from);
    match Cli::try_parse_from(command.iter().chain(flags)) {
        Ok(Cli {
            command: Command::Index(index),
            registry,
        }) => Ok((index, registry)),
        Ok(_) => Err("not a flag of soci-builder index".to_owned()),
        Err(error) => {
            let text = error.render().to_string();
            let first = text.lines().next().unwrap_or_default();
            let first = first.strip_prefix("error: ").unwrap_or(first);
            Err(match error.kind() {
                // The names that are possible are on the next line.
                ErrorKind::InvalidValue => {
                    let possible = text.lines().nth(1).unwrap_or_default().trim();
                    format!("{first} {possible}").trim_end().to_owned()
                }
                _ => first.to_owned(),
            })
        }
    }
}

#[cfg(test)]
mod tests {
    use bytesize::ByteSize;

    use super::*;

    fn of(variables: &[(&str, &str)]) -> Result<Arguments, String> {
        let value = |name: &str| {
            let mut variables = variables.iter();
            let found = variables.find(|(variable, _)| *variable == name);
            found.map(|(_, value)| OsString::from(value))
        };
        Arguments::of(value).map_err(|invalid| invalid.to_string())
    }

    #[test]
    fn variables_are_the_flags_of_the_same_names() {
        let found = of(&[
            ("SOCI_PLATFORM", "linux/amd64, linux/arm64,"),
            ("SOCI_MIN_LAYER_SIZE", "1MiB"),
            ("SOCI_PREFETCH_FILE", "/a,b\n/c\n"),
            ("SOCI_TIMEOUT", "5m"),
            ("SOCI_DEBUG", "0"),
        ]);
        let found = found.ok().unwrap();
        assert_eq!(found.platforms, ["linux/amd64", "linux/arm64"]);
        assert_eq!(found.index.platforms.len(), 2);
        assert_eq!(found.index.min_layer_size, ByteSize::mib(1));
        assert_eq!(found.index.prefetch_files, ["/a,b", "/c"]);
        assert_eq!(found.registry.timeout.unwrap().as_secs(), 300);
        for (variable, flag, form) in VARIABLES {
            assert_eq!(
                variable,
                format!("SOCI_{}", flag[2..].to_uppercase().replace('-', "_"))
            );
            let value = OsStr::new("");
            assert!(flags(flag, value, form).len() < 2);
        }
    }

    #[test]
    fn a_wrong_value_is_one_line_that_names_the_variable() {
        for (variable, value, reason) in [
            ("SOCI_MIN_LAYER_SIZE", "large", "'large'"),
            ("SOCI_INDEX_VERSION", "v3", "[possible values: v1, v2]"),
            ("SOCI_PLATFORM", "linux", "'linux'"),
            ("SOCI_TIMEOUT", "soon", "'soon'"),
            ("SOCI_CERT_DIR", "/not/there", "not a directory"),
            ("SOCI_PREFETCH_FILES_FROM", "-", "name a file"),
        ] {
            let error = of(&[(variable, value)]).err().unwrap();
            let expected = format!("{variable} is not valid: ");
            assert!(error.starts_with(&expected), "{error}");
            assert!(error.contains(reason) && !error.contains('\n'), "{error}");
        }
    }
}
