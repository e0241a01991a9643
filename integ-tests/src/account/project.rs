//! A CodeBuild project. In: the properties that CloudFormation has of it, all references resolved. Out: plain data, with
//! without defaults. Validates nothing.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

/// A CodeBuild project, all references resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// Bucket and key of its source, a zip.
    pub source: (String, String),
    /// Its buildspec, as the template has it (YAML, or JSON, which is YAML).
    pub buildspec: String,
    /// ARN of the role that its builds have.
    pub service_role: String,
    /// Its environment variables.
    pub environment: BTreeMap<String, String>,
    /// What its builds run on.
    pub machine: Machine,
    /// How long a build may run, where that is said.
    pub timeout: Option<Duration>,
    /// How long a build may wait for its start, where that is said.
    pub queued_timeout: Option<Duration>,
    /// Its CloudWatch log group.
    pub log_group: Option<String>,
    /// The subnets that its builds run in.
    pub network: Option<Network>,
    /// ARN of the key for what CodeBuild stores.
    pub encryption_key: Option<String>,
}

/// What builds run on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Machine {
    /// `LINUX_CONTAINER` and the like.
    pub kind: String,
    /// The build image.
    pub image: String,
    /// Its size.
    pub compute_type: String,
    /// Whether builds may do what a container engine does.
    pub privileged: bool,
}

/// Where in a VPC builds run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    /// The VPC's id.
    pub vpc: String,
    /// Ids of subnets.
    pub subnets: Vec<String>,
    /// Ids of security groups.
    pub security_groups: Vec<String>,
}

impl Project {
    /// A project of that name from its properties; none where something is missing that every project here has.
    pub fn from_properties(name: &str, properties: &Value) -> Option<Self> {
        let (bucket, key) = properties["Source"]["Location"].as_str()?.split_once('/')?;
        let machine = &properties["Environment"];
        let variables = machine["EnvironmentVariables"].as_array();
        let pair = |each: &Value| Some((text(&each["Name"])?, text(&each["Value"])?));
        Some(Self {
            name: name.to_owned(),
            source: (bucket.to_owned(), key.to_owned()),
            buildspec: text(&properties["Source"]["BuildSpec"])?,
            service_role: text(&properties["ServiceRole"])?,
            environment: variables.into_iter().flatten().filter_map(pair).collect(),
            machine: Machine {
                kind: text(&machine["Type"])?,
                image: text(&machine["Image"])?,
                compute_type: text(&machine["ComputeType"])?,
                // CloudFormation hands every plain value on as text.
                privileged: text(&machine["PrivilegedMode"]).is_some_and(|it| it == "true"),
            },
            timeout: minutes(&properties["TimeoutInMinutes"]),
            queued_timeout: minutes(&properties["QueuedTimeoutInMinutes"]),
            log_group: text(&properties["LogsConfig"]["CloudWatchLogs"]["GroupName"]),
            network: network(&properties["VpcConfig"]),
            encryption_key: text(&properties["EncryptionKey"]),
        })
    }
}

fn network(properties: &Value) -> Option<Network> {
    let texts = |list: &Value| -> Vec<String> {
        let items = list.as_array().into_iter().flatten();
        items.filter_map(text).collect()
    };
    Some(Network {
        vpc: text(&properties["VpcId"])?,
        subnets: texts(&properties["Subnets"]),
        security_groups: texts(&properties["SecurityGroupIds"]),
    })
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(truth) => Some(truth.to_string()),
        _ => None,
    }
}

fn minutes(value: &Value) -> Option<Duration> {
    let minutes: u64 = text(value)?.parse().ok()?;
    Some(Duration::from_secs(60 * minutes))
}
