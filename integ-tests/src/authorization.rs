//! Checks calls and policies against AWS's service authorization reference. In: recorded calls, and the policies of the roles
//! that made them, in one region. Out: errors: a call that AWS does not know or that no policy allows, a permission that
//! no call uses, a permission that is broader than the calls. The check itself is `authorization/judge.js`.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::Write,
    process::{Command, Stdio},
};

use serde_json::{Value, json};

use crate::{
    control_plane::{Error, Tools},
    iam::{Context, Decision},
    template::Place,
};

/// A call by its role: action, resource, and what is known besides.
pub type Calls = BTreeMap<String, BTreeSet<(String, String, Context)>>;

/// The calls of a record, by role.
pub fn calls(record: &[Decision]) -> Calls {
    let mut calls = Calls::new();
    for one in record {
        let call = (
            one.action.clone(),
            one.resource.clone(),
            one.context.clone(),
        );
        calls.entry(one.who.clone()).or_default().insert(call);
    }
    calls
}

/// One stack in one region, to be checked.
pub struct Case {
    json: Value,
}

impl Case {
    /// The roles of a stack in `place`, with the calls that were recorded of it at home.
    pub fn new(
        name: &str,
        place: Place,
        roles: &BTreeMap<String, Vec<Value>>,
        calls: &Calls,
    ) -> Self {
        let calls: BTreeMap<String, Vec<Value>> = calls
            .iter()
            .map(|(role, calls)| {
                let calls = calls.iter().map(|call| translated(place, call));
                (place.translate(role), calls.collect())
            })
            .collect();
        // A role without policies makes no call either, or else it is seen.
        let known: BTreeSet<&String> = roles.keys().chain(calls.keys()).collect();
        let roles: Vec<Value> = known
            .into_iter()
            .map(|arn| json!({"arn": arn, "policies": roles.get(arn), "calls": calls.get(arn)}))
            .collect();
        let name = format!("{name} in {}", place.region);
        Self {
            json: json!({"name": name, "roles": roles}),
        }
    }
}

fn translated(place: Place, (action, resource, context): &(String, String, Context)) -> Value {
    let context: BTreeMap<&String, String> = context
        .iter()
        .map(|(key, value)| (key, place.translate(value)))
        .collect();
    json!({"action": action, "resource": place.translate(resource), "context": context})
}

/// Errors, one per line. `open`: actions that may be allowed on `*`.
///
/// # Errors
/// If the check cannot be installed, or fails.
pub fn judge(cases: &[Case], open: &[&str]) -> Result<Vec<String>, Error> {
    let cases: Vec<&Value> = cases.iter().map(|case| &case.json).collect();
    let input = json!({"cases": cases, "open": open}).to_string();
    let script = Tools::authorization()?.join("judge.js");
    let program = format!("node {}", script.display());
    let failed = |source| Error::Run {
        program: program.clone(),
        source,
    };
    let mut node = Command::new("node")
        .arg(&script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    // It reads all before it writes.
    if let Some(mut stdin) = node.stdin.take() {
        stdin.write_all(input.as_bytes()).map_err(failed)?;
    }
    let output = node.wait_with_output().map_err(failed)?;
    let printed = String::from_utf8_lossy(&output.stderr).into_owned();
    // So many calls were judged.
    eprint!("{printed}");
    if !output.status.success() {
        return Err(Error::Failed {
            program,
            output: printed,
        });
    }
    let findings = String::from_utf8_lossy(&output.stdout);
    Ok(findings.lines().map(str::to_owned).collect())
}
