//! An account with given contents: what the construct's template says, as if it were deployed. In: a CDK app. Out: roles,
//! policies, projects and functions of all its stacks, names resolved. Knows nothing of what is done with them.

mod resolve;
mod synth;

use std::{
    collections::BTreeMap,
    fs, io,
    path::Path,
    sync::{Mutex, OnceLock},
    time::Duration,
};

use bytes::Bytes;
use serde_json::{Map, Value};

use self::resolve::Stack;
pub use self::{
    resolve::{Place, Unresolved},
    synth::Error,
};
use crate::{
    account::{ACCOUNT_ID, Account, Later, Project, REGION, Repository},
    cloud::given,
    lock::lock,
    programs,
};

/// The templates of one app, resolved and held in memory.
pub struct TemplateAccount {
    stacks: BTreeMap<String, Stack>,
    repositories: Mutex<BTreeMap<String, Repository>>,
    builder: Mutex<Option<Bytes>>,
}

/// A custom resource of a stack, and what is around it.
#[derive(Clone, Debug)]
pub struct Resource {
    /// The stack's ARN.
    pub stack_id: String,
    /// Its id in the template.
    pub logical_id: String,
    /// Its type.
    pub kind: String,
    /// Its properties as CloudFormation hands them on: strings and lists of strings.
    pub properties: Map<String, Value>,
    /// Name of the function behind it.
    pub function: String,
    /// ARN of the function's role.
    pub function_role: String,
    /// ARN of the function's log group, `*` for its streams at the end.
    pub log_group: String,
    /// Name of the project that it names; empty where a function builds.
    pub project: String,
    /// ARN of the builds' role; empty where a function builds.
    pub project_role: String,
    /// The builder function that it names.
    pub builder: Option<BuilderFunction>,
}

/// A function that builds indexes, as Lambda is to run it.
#[derive(Clone, Debug)]
pub struct BuilderFunction {
    /// Its name.
    pub name: String,
    /// ARN of its role.
    pub role: String,
    /// ARN of its log group, `*` for its streams at the end.
    pub log_group: String,
    /// Its environment.
    pub environment: BTreeMap<String, String>,
    /// Its memory in MiB.
    pub memory_mib: u64,
    /// How long an invocation may take.
    pub timeout: Duration,
    /// How often a failed event is delivered again.
    pub retries: u32,
    /// How long an event waits at most.
    pub event_age_max: Duration,
    /// ARN of the function that gets the records of failed events.
    pub on_failure: String,
}

/// A right that a policy gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// The role's ARN.
    pub role: String,
    /// The action.
    pub action: String,
    /// What it may be done to.
    pub resource: String,
}

impl TemplateAccount {
    /// Runs the app and reads its templates.
    ///
    /// # Errors
    /// Where the construct is not compiled or the app fails.
    pub fn synthesize(app: &Path) -> Result<Self, Error> {
        Self::synthesize_in(Place::HOME, app)
    }

    /// The same, as it is deployed somewhere else. The app finds the region in `STACK_REGION`.
    ///
    /// # Errors
    /// Where the construct is not compiled or the app fails.
    pub fn synthesize_in(place: Place, app: &Path) -> Result<Self, Error> {
        let templates = synth::synthesize(app, place.region)?;
        let stacks = templates.into_iter().map(|(name, template)| {
            let stack = Stack {
                name: name.clone(),
                place,
                template,
            };
            (name, stack)
        });
        Ok(Self {
            stacks: stacks.collect(),
            repositories: Mutex::default(),
            builder: Mutex::default(),
        })
    }

    /// The same templates, and nothing of what was added.
    #[must_use]
    pub fn fresh(&self) -> Self {
        Self {
            stacks: self.stacks.clone(),
            repositories: Mutex::default(),
            builder: Mutex::default(),
        }
    }

    /// Adds a repository; templates of tests only name it.
    pub fn add_repository(&self, name: &str, repository: Repository) {
        lock(&self.repositories).insert(name.to_owned(), repository);
    }

    /// Puts another program in the builder's place, for all projects and builds from now on.
    ///
    /// # Errors
    /// Where it cannot be packed.
    pub fn replace_builder(&self, program: &[u8]) -> io::Result<()> {
        *lock(&self.builder) = Some(source(program)?);
        Ok(())
    }

    /// The names of the stacks.
    pub fn stacks(&self) -> Vec<String> {
        self.stacks.keys().cloned().collect()
    }

    /// The custom resource of a stack that has one.
    ///
    /// # Errors
    /// Where the template refers to something that this account does not know.
    pub fn resource(&self, stack: &str) -> Result<Resource, Unresolved> {
        let stack = &self.stacks[stack];
        let (logical_id, definition) = stack
            .resources("Custom::SociIndexBuild")
            .next()
            .unwrap_or_else(|| panic!("{} has no custom resource", stack.name));
        let properties = match stack.resolve(&definition["Properties"])? {
            Value::Object(properties) => properties
                .into_iter()
                .map(|(name, value)| (name, plain(value))),
            other => panic!("properties of {logical_id} are {other}"),
        };
        let properties: Map<String, Value> = properties.collect();
        let arn = properties["ServiceToken"].as_str().unwrap_or_default();
        let function = arn.rsplit(':').next().unwrap_or_default().to_owned();
        let text = |name: &str| {
            let value = properties.get(name).and_then(Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        let project = text("ProjectName");
        let project_role = match project.as_str() {
            "" => String::new(),
            name => self.role_of(stack, "AWS::CodeBuild::Project", "ServiceRole", name)?,
        };
        let builder = match text("BuilderFunction").rsplit(':').next() {
            None | Some("") => None,
            Some(name) => Some(builder_function(stack, name)?),
        };
        Ok(Resource {
            stack_id: stack.id(),
            logical_id: logical_id.clone(),
            kind: definition["Type"].as_str().unwrap_or_default().to_owned(),
            function_role: self.role_of(stack, "AWS::Lambda::Function", "Role", &function)?,
            project_role,
            builder,
            log_group: log_group(stack, &function)?,
            properties,
            function,
            project,
        })
    }

    /// The roles of a stack, by ARN, with their policies.
    ///
    /// # Errors
    /// Where a policy refers to something that this account does not know.
    pub fn roles(&self, stack: &str) -> Result<BTreeMap<String, Vec<Value>>, Unresolved> {
        let stack = &self.stacks[stack];
        let roles = stack.resources("AWS::IAM::Role");
        let roles = roles.map(|(id, _)| Ok((stack.arn_of(id)?, documents(stack, id)?)));
        roles.collect()
    }

    /// Every right that the policies of a stack give.
    ///
    /// # Errors
    /// Where a policy refers to something that this account does not know.
    pub fn rights(&self, stack: &str) -> Result<Vec<Right>, Unresolved> {
        let mut rights = Vec::new();
        for (role, documents) in self.roles(stack)? {
            for document in documents {
                for statement in list(&document["Statement"]) {
                    for action in list(&statement["Action"]) {
                        for resource in list(&statement["Resource"]) {
                            rights.push(Right {
                                role: role.clone(),
                                action: action.as_str().unwrap_or_default().to_owned(),
                                resource: resource.as_str().unwrap_or_default().to_owned(),
                            });
                        }
                    }
                }
            }
        }
        rights.sort();
        Ok(rights)
    }

    fn role_of(
        &self,
        stack: &Stack,
        kind: &str,
        field: &str,
        name: &str,
    ) -> Result<String, Unresolved> {
        for (id, definition) in stack.resources(kind) {
            if stack.name_of(id)? == name {
                return stack.text(&definition["Properties"][field]);
            }
        }
        panic!("{} has no {kind} of the name {name}", stack.name)
    }

    fn find_project(&self, name: &str) -> Option<Project> {
        self.stacks.values().find_map(|stack| {
            let mut projects = stack.resources("AWS::CodeBuild::Project");
            projects.find_map(|(id, definition)| {
                let named = stack.name_of(id).is_ok_and(|one| one == name);
                // What cannot be resolved is not there: the test that asks for it fails and names it.
                named
                    .then(|| project(stack, id, &definition["Properties"]).ok())
                    .flatten()
            })
        })
    }
}

impl Account for TemplateAccount {
    fn repositories(&self) -> Later<'_, Vec<String>> {
        let names = lock(&self.repositories).keys().cloned().collect();
        Box::pin(async { names })
    }

    fn repository<'a>(&'a self, name: &'a str) -> Later<'a, Option<Repository>> {
        let repository = lock(&self.repositories).get(name).cloned();
        Box::pin(async { repository })
    }

    fn project<'a>(&'a self, name: &'a str) -> Later<'a, Option<Project>> {
        let project = self.find_project(name);
        Box::pin(async { project })
    }

    fn object<'a>(&'a self, bucket: &'a str, key: &'a str) -> Later<'a, Option<Bytes>> {
        // The only objects of a template are its assets, and of these only the builder is asked for.
        let named = self.stacks.values().any(|stack| {
            let mut projects = stack.resources("AWS::CodeBuild::Project");
            projects.any(|(id, definition)| {
                project(stack, id, &definition["Properties"])
                    .is_ok_and(|project| project.source == (bucket.to_owned(), key.to_owned()))
            })
        });
        let archive = lock(&self.builder).clone();
        let archive = || archive.or_else(|| builder_archive().ok());
        let object = named.then(archive).flatten();
        Box::pin(async { object })
    }

    fn function_role<'a>(&'a self, name: &'a str) -> Later<'a, Option<String>> {
        let role = self.stacks.values().find_map(|stack| {
            let mut functions = stack.resources("AWS::Lambda::Function");
            functions.find_map(|(id, definition)| {
                let named = stack.name_of(id).is_ok_and(|one| one == name);
                named
                    .then(|| stack.text(&definition["Properties"]["Role"]).ok())
                    .flatten()
            })
        });
        Box::pin(async { role })
    }

    fn policies<'a>(&'a self, role_arn: &'a str) -> Later<'a, Vec<Value>> {
        let mut policies = Vec::new();
        for stack in self.stacks.values() {
            for (id, _) in stack.resources("AWS::IAM::Role") {
                if stack.arn_of(id).is_ok_and(|arn| arn == role_arn) {
                    // A policy that cannot be resolved gives no right, and the test that needs it fails.
                    policies.extend(documents(stack, id).unwrap_or_default());
                }
            }
        }
        Box::pin(async { policies })
    }
}

/// The function of that name, with what is said of its asynchronous invocations.
fn builder_function(stack: &Stack, name: &str) -> Result<BuilderFunction, Unresolved> {
    let named = |(id, _): &(&String, &Value)| stack.name_of(id).is_ok_and(|one| one == name);
    let found = stack.resources("AWS::Lambda::Function").find(named);
    let (id, definition) =
        found.ok_or_else(|| stack.unresolved(&format!("the function {name}")))?;
    let properties = &definition["Properties"];
    let mut configs = stack.resources("AWS::Lambda::EventInvokeConfig");
    let config = configs.find(|(_, config)| {
        let of = stack.text(&config["Properties"]["FunctionName"]);
        of.is_ok_and(|of| of == name)
    });
    let unset = || stack.unresolved(&format!("the EventInvokeConfig of {id}"));
    let config = &config.ok_or_else(unset)?.1["Properties"];
    let number = |value: &Value| value.as_u64().ok_or_else(unset);
    let variables = properties["Environment"]["Variables"].as_object();
    let variables = variables.into_iter().flatten();
    Ok(BuilderFunction {
        name: name.to_owned(),
        role: stack.text(&properties["Role"])?,
        log_group: log_group(stack, name)?,
        environment: variables
            .map(|(name, value)| Ok((name.clone(), stack.text(value)?)))
            .collect::<Result<_, _>>()?,
        memory_mib: number(&properties["MemorySize"])?,
        timeout: Duration::from_secs(number(&properties["Timeout"])?),
        retries: u32::try_from(number(&config["MaximumRetryAttempts"])?).map_err(|_| unset())?,
        event_age_max: Duration::from_secs(number(&config["MaximumEventAgeInSeconds"])?),
        on_failure: stack.text(&config["DestinationConfig"]["OnFailure"]["Destination"])?,
    })
}

/// The log group of a function; Lambda makes one of the function's name where none is given.
fn log_group(stack: &Stack, function: &str) -> Result<String, Unresolved> {
    let mut group = format!("/aws/lambda/{function}");
    for (id, definition) in stack.resources("AWS::Lambda::Function") {
        let given = &definition["Properties"]["LoggingConfig"]["LogGroup"];
        if stack.name_of(id)? == function && !given.is_null() {
            group = stack.text(given)?;
        }
    }
    Ok(format!(
        "arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{group}:*"
    ))
}

/// The policy documents of a role: its own, and those of the stack that name it.
fn documents(stack: &Stack, role_id: &str) -> Result<Vec<Value>, Unresolved> {
    let role = &stack.template["Resources"][role_id]["Properties"];
    if let Some(managed) = role["ManagedPolicyArns"]
        .as_array()
        .and_then(|arns| arns.first())
    {
        panic!("{role_id} has a managed policy, which this account does not know: {managed}");
    }
    let name = stack.name_of(role_id)?;
    let mut documents = Vec::new();
    for own in list(&role["Policies"]) {
        documents.push(stack.resolve(&own["PolicyDocument"])?);
    }
    let policies = ["AWS::IAM::Policy", "AWS::IAM::ManagedPolicy"];
    for (_, policy) in policies.iter().flat_map(|of| stack.resources(of)) {
        let roles = stack.resolve(&policy["Properties"]["Roles"])?;
        if list(&roles)
            .iter()
            .any(|role| role.as_str() == Some(name.as_str()))
        {
            documents.push(stack.resolve(&policy["Properties"]["PolicyDocument"])?);
        }
    }
    Ok(documents)
}

fn project(stack: &Stack, id: &str, properties: &Value) -> Result<Project, Unresolved> {
    let name = stack.name_of(id)?;
    let project = Project::from_properties(&name, &stack.resolve(properties)?);
    project.ok_or_else(|| stack.unresolved(&format!("{id} as a project")))
}

/// The real builder as the project's source; read and packed once.
fn builder_archive() -> io::Result<Bytes> {
    static ARCHIVE: OnceLock<Bytes> = OnceLock::new();
    if let Some(archive) = ARCHIVE.get() {
        return Ok(archive.clone());
    }
    let archive = source(&fs::read(programs::builder())?)?;
    Ok(ARCHIVE.get_or_init(|| archive).clone())
}

/// A zip with the program at its root, as the CDK makes one of the asset's folder.
fn source(program: &[u8]) -> io::Result<Bytes> {
    given::zip(&[("soci-builder", 0o755, program)])
}

/// One thing or a list of things, as policies write them.
fn list(value: &Value) -> Vec<&Value> {
    match value {
        Value::Null => Vec::new(),
        Value::Array(items) => items.iter().collect(),
        one => vec![one],
    }
}

/// CloudFormation hands every plain value on as text.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => Value::String(number.to_string()),
        Value::Bool(truth) => Value::String(truth.to_string()),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        other => other,
    }
}
