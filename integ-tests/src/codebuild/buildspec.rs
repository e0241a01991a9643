//! Buildspecs, version 0.2.
//! In: YAML. Out: commands by phase, the shell, variables. Features that are not emulated are rejected.

use std::collections::BTreeMap;

use saphyr::{LoadableYamlNode, Scalar, Yaml};

use super::script::Phase;

/// Why a buildspec is rejected.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No YAML.
    #[error("the buildspec is not YAML")]
    Yaml(#[from] saphyr::ScanError),
    /// Of the wrong form.
    #[error("the buildspec's {place} is {what}")]
    Wrong {
        /// Where.
        place: String,
        /// What is wrong.
        what: String,
    },
}

/// A buildspec.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Buildspec {
    /// The shell: `sh` unless it says `bash`.
    pub shell: String,
    /// `env.variables`
    pub variables: BTreeMap<String, String>,
    /// `env.exported-variables`
    pub exported: Vec<String>,
    /// By phase.
    pub phases: BTreeMap<Phase, Commands>,
}

/// A phase's commands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Commands {
    /// Run in order, until one fails.
    pub commands: Vec<String>,
    /// Run after them in any case.
    pub finally: Vec<String>,
}

impl Buildspec {
    /// Reads one.
    ///
    /// # Errors
    /// Where it cannot be used.
    pub fn read(text: &str) -> Result<Self, Error> {
        let documents = Yaml::load_from_str(text)?;
        let root = documents.first().unwrap_or(&Yaml::BadValue);
        let mut spec = Self {
            shell: "sh".to_owned(),
            ..Self::default()
        };
        let mut version = None;
        for (key, value) in map(root, "whole")? {
            match key.as_str() {
                "version" => version = Some(text_of(value, "version")?),
                "env" => spec.read_env(value)?,
                "phases" => spec.read_phases(value)?,
                other => return Err(unplayed(other)),
            }
        }
        match version.as_deref() {
            Some("0.2") if spec.phases.is_empty() => Err(wrong("phases", "empty")),
            Some("0.2") => Ok(spec),
            other => Err(wrong("version", &format!("{other:?}, not 0.2"))),
        }
    }

    fn read_env(&mut self, env: &Yaml<'_>) -> Result<(), Error> {
        for (key, value) in map(env, "env")? {
            match key.as_str() {
                "shell" => self.shell = text_of(value, "env.shell")?,
                "exported-variables" => self.exported = texts(value, "env.exported-variables")?,
                "variables" => {
                    for (name, value) in map(value, "env.variables")? {
                        let value = text_of(value, "env.variables")?;
                        self.variables.insert(name, value);
                    }
                }
                other => return Err(unplayed(&format!("env.{other}"))),
            }
        }
        match self.shell.as_str() {
            "sh" | "bash" => Ok(()),
            other => Err(wrong("env.shell", other)),
        }
    }

    fn read_phases(&mut self, phases: &Yaml<'_>) -> Result<(), Error> {
        for (name, value) in map(phases, "phases")? {
            let phase = match name.as_str() {
                "install" => Phase::Install,
                "pre_build" => Phase::PreBuild,
                "build" => Phase::Build,
                "post_build" => Phase::PostBuild,
                other => return Err(unplayed(&format!("phases.{other}"))),
            };
            let mut commands = Commands::default();
            for (key, value) in map(value, &name)? {
                match key.as_str() {
                    "commands" => commands.commands = texts(value, "commands")?,
                    "finally" => commands.finally = texts(value, "finally")?,
                    other => return Err(unplayed(&format!("phases.{name}.{other}"))),
                }
            }
            self.phases.insert(phase, commands);
        }
        Ok(())
    }
}

fn wrong(place: &str, what: &str) -> Error {
    Error::Wrong {
        place: place.to_owned(),
        what: what.to_owned(),
    }
}

fn unplayed(place: &str) -> Error {
    wrong(place, "not played by this cloud")
}

fn map<'a>(yaml: &'a Yaml<'_>, place: &str) -> Result<Vec<(String, &'a Yaml<'a>)>, Error> {
    let Yaml::Mapping(entries) = yaml else {
        return Err(wrong(place, "not a map"));
    };
    let entries = entries.iter();
    entries
        .map(|(key, value)| Ok((text_of(key, place)?, value)))
        .collect()
}

fn texts(yaml: &Yaml<'_>, place: &str) -> Result<Vec<String>, Error> {
    match yaml {
        Yaml::Sequence(items) => items.iter().map(|item| text_of(item, place)).collect(),
        one => Ok(vec![text_of(one, place)?]),
    }
}

fn text_of(yaml: &Yaml<'_>, place: &str) -> Result<String, Error> {
    match yaml {
        Yaml::Value(Scalar::String(text)) => Ok(text.to_string()),
        Yaml::Value(Scalar::Integer(number)) => Ok(number.to_string()),
        Yaml::Value(Scalar::FloatingPoint(number)) => Ok(number.to_string()),
        Yaml::Value(Scalar::Boolean(value)) => Ok(value.to_string()),
        _ => Err(wrong(place, "not a string")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn yaml_and_json_are_the_same() {
        let yaml = "version: 0.2\nenv:\n  shell: bash\n  exported-variables: [A]\n  variables: {N: 1}\nphases:\n  \
                    build:\n    commands:\n      - |\n        one\n        two\n      - three\n    finally: four\n";
        let json = r#"{"version":"0.2","env":{"shell":"bash","exported-variables":["A"],"variables":{"N":"1"}},
            "phases":{"build":{"commands":["one\ntwo\n","three"],"finally":["four"]}}}"#;
        let spec = Buildspec::read(yaml).unwrap();
        assert_eq!(spec, Buildspec::read(json).unwrap());
        assert_eq!(spec.shell, "bash");
        assert_eq!(spec.exported, ["A"]);
        assert_eq!(spec.variables["N"], "1");
        let build = &spec.phases[&Phase::Build];
        assert_eq!(build.commands, ["one\ntwo\n", "three"]);
        assert_eq!(build.finally, ["four"]);
    }

    #[test]
    fn what_is_not_played_is_refused() {
        for (text, said) in [
            ("version: 0.1\nphases: {build: {commands: [a]}}", "version"),
            ("phases: {build: {commands: [a]}}", "version"),
            ("version: 0.2", "phases"),
            ("version: 0.2\nartifacts: {}", "artifacts"),
            (
                "version: 0.2\nenv: {parameter-store: {}}",
                "env.parameter-store",
            ),
            ("version: 0.2\nenv: {shell: zsh}", "zsh"),
            ("version: 0.2\nphases: {deploy: {}}", "phases.deploy"),
            (
                "version: 0.2\nphases: {build: {commands: [[a]]}}",
                "commands",
            ),
            ("[", "YAML"),
        ] {
            let error = Buildspec::read(text).unwrap_err().to_string();
            assert!(error.contains(said), "{text}: {error}");
        }
    }
}
