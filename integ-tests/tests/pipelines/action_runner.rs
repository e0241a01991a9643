//! Plays GitHub's runner for a composite action: its inputs with their defaults, its steps in order, its outputs.

use std::{collections::BTreeMap, fs, path::PathBuf, process::Command};

use serde_json::{Map, Value};
use soci_testing::scratch::scratch;
use tempfile::TempDir;

use crate::yaml;

/// The runner, with a tool cache that lasts from job to job.
pub(crate) struct Runner {
    folder: TempDir,
    environment: BTreeMap<String, String>,
}

/// How a use of the action ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) log: String,
    pub(crate) summary: String,
    /// The action's outputs.
    pub(crate) outputs: BTreeMap<String, String>,
}

/// The action's folder.
pub(crate) fn action_folder() -> PathBuf {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/../.github/actions/soci-index");
    fs::canonicalize(root).unwrap()
}

/// The action's description.
pub(crate) fn action() -> Value {
    yaml::parse(&fs::read_to_string(action_folder().join("action.yml")).unwrap())
}

impl Runner {
    pub(crate) fn new() -> Self {
        Self::with(BTreeMap::new())
    }

    /// With more variables, as steps before the action may have left them.
    pub(crate) fn with(environment: BTreeMap<String, String>) -> Self {
        let folder = scratch();
        Self {
            folder,
            environment,
        }
    }

    /// Where the tool cache is.
    pub(crate) fn tool_cache(&self) -> PathBuf {
        self.folder.path().join("tools")
    }

    /// Runs the action with these inputs.
    pub(crate) fn run(&self, inputs: &[(&str, &str)]) -> Ended {
        let action = action();
        let given = inputs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).into()));
        // As on GitHub, an input that is not given is an empty one or its default.
        let defaults = action["inputs"].as_object().unwrap().iter();
        let mut inputs: Map<String, Value> = defaults
            .map(|(name, input)| (name.clone(), input["default"].as_str().unwrap_or("").into()))
            .collect();
        inputs.extend(given);
        let job = tempfile::tempdir_in(self.folder.path()).unwrap();
        let mut ended = Ended {
            code: 0,
            log: String::new(),
            summary: String::new(),
            outputs: BTreeMap::new(),
        };
        let mut steps = BTreeMap::new();
        for step in action["runs"]["steps"].as_array().unwrap() {
            assert_eq!(step["shell"], "bash");
            let output = job.path().join("output");
            fs::write(&output, "").unwrap();
            let mut command = Command::new("bash");
            command
                // As GitHub's documentation says of `shell: bash`.
                .args([
                    "--noprofile",
                    "--norc",
                    "-eo",
                    "pipefail",
                    "-c",
                    step["run"].as_str().unwrap(),
                ])
                .env_clear()
                .env("PATH", std::env::var("PATH").unwrap())
                .env("RUNNER_OS", "Linux")
                .env(
                    "RUNNER_ARCH",
                    if cfg!(target_arch = "aarch64") {
                        "ARM64"
                    } else {
                        "X64"
                    },
                )
                .env("RUNNER_TEMP", job.path())
                .env("RUNNER_TOOL_CACHE", self.tool_cache())
                .env("GITHUB_ACTION_PATH", action_folder())
                .env("GITHUB_OUTPUT", &output)
                .env("GITHUB_PATH", job.path().join("path"))
                .env("GITHUB_STEP_SUMMARY", job.path().join("summary"))
                // Else Python would leave a folder in the sources.
                .env("PYTHONDONTWRITEBYTECODE", "1")
                .envs(&self.environment)
                .current_dir(job.path());
            for (name, value) in step["env"].as_object().unwrap() {
                command.env(name, evaluate(value.as_str().unwrap(), &inputs, &steps));
            }
            let run = command.output().unwrap();
            ended.log += &String::from_utf8(run.stdout).unwrap();
            ended.log += &String::from_utf8(run.stderr).unwrap();
            ended.code = run.status.code().unwrap();
            let id = step["id"].as_str().unwrap().to_owned();
            steps.insert(id, outputs(&fs::read_to_string(output).unwrap()));
            if ended.code != 0 {
                break;
            }
        }
        ended.summary = fs::read_to_string(job.path().join("summary")).unwrap_or_default();
        for (name, output) in action["outputs"].as_object().unwrap() {
            let value = evaluate(output["value"].as_str().unwrap(), &inputs, &steps);
            ended.outputs.insert(name.clone(), value);
        }
        ended
    }
}

type Outputs = BTreeMap<String, String>;

/// The value of an expression; of those that GitHub knows, the ones that the action uses.
fn evaluate(text: &str, inputs: &Map<String, Value>, steps: &BTreeMap<String, Outputs>) -> String {
    let Some(expression) = text
        .strip_prefix("${{ ")
        .and_then(|text| text.strip_suffix(" }}"))
    else {
        assert!(!text.contains("${{"), "{text}");
        return text.to_owned();
    };
    if expression == "toJSON(inputs)" {
        return serde_json::to_string_pretty(inputs).unwrap();
    }
    let [step, name] = expression
        .strip_prefix("steps.")
        .and_then(|rest| rest.split_once(".outputs."))
        .map(|(step, name)| [step, name])
        .unwrap_or_else(|| panic!("not evaluated here: {text}"));
    let outputs = steps.get(step);
    outputs
        .and_then(|of| of.get(name))
        .cloned()
        .unwrap_or_default()
}

/// What a step wrote into GITHUB_OUTPUT: `NAME=VALUE`, or `NAME<<END`, lines, `END`.
fn outputs(text: &str) -> Outputs {
    let mut outputs = Outputs::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some((name, end)) = line.split_once("<<") {
            let value: Vec<_> = lines.by_ref().take_while(|line| *line != end).collect();
            outputs.insert(name.to_owned(), value.join("\n"));
        } else {
            let (name, value) = line.split_once('=').unwrap();
            outputs.insert(name.to_owned(), value.to_owned());
        }
    }
    outputs
}
