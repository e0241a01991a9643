//! AWS's models of its services, as botocore has them: what a request, an answer and an error may look like.
//! In: an operation's name and JSON. Out: where it does not match. Knows nothing of what operations do.
//!
//! The models come out of the pinned wheel that the emulator brings; nothing of them is written here.

mod shape;

use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use flate2::read::GzDecoder;
use serde_json::{Map, Value};

pub use self::shape::Mismatch;
use self::shape::{Shapes, Side};
use crate::control_plane::{self, Tools};

/// What every operation may answer, beside its own: "Common Errors" in AWS's references, and what its JSON protocol adds.
const COMMON: [&str; 14] = [
    "AccessDeniedException",
    "ExpiredTokenException",
    "IncompleteSignature",
    "InternalFailure",
    "NotAuthorized",
    "OptInRequired",
    "RequestEntityTooLargeException",
    "RequestExpired",
    "SerializationException",
    "ServiceUnavailable",
    "ThrottlingException",
    "UnknownOperationException",
    "UnrecognizedClientException",
    "ValidationException",
];

/// A service whose model is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// CodeBuild.
    CodeBuild,
    /// ECR.
    Ecr,
    /// Lambda.
    Lambda,
}

/// Why there is no model.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// botocore is not there and could not be installed.
    #[error("cannot install AWS's models")]
    Install(#[from] control_plane::Error),
    /// A file of it could not be read.
    #[error("cannot read AWS's model {path}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// The model of one service.
pub struct Model {
    operations: Map<String, Value>,
    shapes: Shapes,
}

/// The models that are used.
struct Models {
    codebuild: Model,
    ecr: Model,
    lambda: Model,
}

impl Model {
    /// The model of a service; read once, installed where it is not there yet.
    ///
    /// # Errors
    /// Where that fails.
    pub fn of(service: Service) -> Result<&'static Self, Error> {
        static MODELS: OnceLock<Models> = OnceLock::new();
        let models = match MODELS.get() {
            Some(models) => models,
            None => {
                let models = Models::read()?;
                MODELS.get_or_init(|| models)
            }
        };
        Ok(match service {
            Service::CodeBuild => &models.codebuild,
            Service::Ecr => &models.ecr,
            Service::Lambda => &models.lambda,
        })
    }

    fn read(path: PathBuf) -> Result<Self, Error> {
        let open = |path: &Path| -> io::Result<Value> {
            let file = GzDecoder::new(File::open(path)?);
            Ok(serde_json::from_reader(io::BufReader::new(file))?)
        };
        let mut model = open(&path).map_err(|source| Error::Read { path, source })?;
        let mut part = |name: &str| match model[name].take() {
            Value::Object(part) => part,
            _ => Map::new(),
        };
        Ok(Self {
            operations: part("operations"),
            shapes: Shapes::new(part("shapes")),
        })
    }

    /// Whether there is such an operation.
    pub fn has(&self, operation: &str) -> bool {
        self.operations.contains_key(operation)
    }

    /// Holds a request against its operation.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn check_request(&self, operation: &str, input: &Value) -> Result<(), Mismatch> {
        self.check(operation, Side::Request, input)
    }

    /// Holds an answer against its operation.
    ///
    /// # Errors
    /// The first mismatch.
    pub fn check_answer(&self, operation: &str, output: &Value) -> Result<(), Mismatch> {
        self.check(operation, Side::Answer, output)
    }

    /// Whether the operation may answer with this error.
    ///
    /// # Errors
    /// Where the model does not have it.
    pub fn check_error(&self, operation: &str, code: &str) -> Result<(), Mismatch> {
        let declared = self.operations.get(operation);
        let declared = declared.and_then(|operation| operation["errors"].as_array());
        let mut declared = declared.into_iter().flatten();
        let known = COMMON.contains(&code) || declared.any(|error| error["shape"] == code);
        known
            .then_some(())
            .ok_or_else(|| Mismatch::new(operation, format!("the error {code} is not declared")))
    }

    /// The input of a request over REST: members that stand in path, headers and body, by the model's `location`.
    ///
    /// # Errors
    /// Where method or path are not the operation's.
    pub fn rest_input(
        &self,
        operation: &str,
        method: &str,
        path: &str,
        header: impl Fn(&str) -> Option<String>,
    ) -> Result<Value, Mismatch> {
        let http = &self.operations[operation]["http"];
        let uri = http["requestUri"].as_str().unwrap_or_default();
        let labels = (http["method"] == method)
            .then(|| labels(uri, path))
            .flatten();
        let mut input = labels.ok_or_else(|| {
            Mismatch::new(
                operation,
                format!("expected {} {uri}, got {method} {path}", http["method"]),
            )
        })?;
        let shape = self.operations[operation]["input"]["shape"].as_str();
        for (name, member) in self.shapes.members(shape.unwrap_or_default()) {
            let at = member["locationName"].as_str().unwrap_or(name);
            if member["location"] == "header"
                && let Some(text) = header(&at.to_ascii_lowercase())
            {
                input.insert(name.clone(), text.into());
            }
        }
        Ok(Value::Object(input))
    }

    fn check(&self, operation: &str, side: Side, value: &Value) -> Result<(), Mismatch> {
        let Some(known) = self.operations.get(operation) else {
            return Err(Mismatch::new(operation, "unknown operation"));
        };
        let part = match side {
            Side::Request => "input",
            Side::Answer => "output",
        };
        match known[part]["shape"].as_str() {
            Some(shape) => self.shapes.check(shape, value, operation, side),
            None => Ok(()),
        }
    }
}

impl Models {
    fn read() -> Result<Self, Error> {
        let data = Tools::python_packages()?.join("botocore/data");
        let read = |version: &str| Model::read(data.join(version).join("service-2.json.gz"));
        Ok(Self {
            codebuild: read("codebuild/2016-10-06")?,
            ecr: read("ecr/2015-09-21")?,
            lambda: read("lambda/2015-03-31")?,
        })
    }
}

/// What stands in a path where the model has `{Name}`.
fn labels(uri: &str, path: &str) -> Option<Map<String, Value>> {
    let mut found = Map::new();
    let (mut expected, mut parts) = (uri.split('/'), path.split('/'));
    loop {
        match (expected.next(), parts.next()) {
            (None, None) => return Some(found),
            (Some(label), Some(part)) if label.starts_with('{') => {
                let name = label.trim_matches(['{', '}', '+']).to_owned();
                found.insert(name, part.replace("%3A", ":").into());
            }
            (Some(fixed), Some(part)) if fixed == part => {}
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn ecr() -> &'static Model {
        Model::of(Service::Ecr).unwrap()
    }

    #[test]
    fn requests_are_held_against_the_real_models() {
        let ids = |count: usize| vec![json!({ "imageTag": "v1" }); count];
        let good = json!({ "repositoryName": "team/app", "imageIds": ids(100) });
        assert_eq!(ecr().check_request("BatchGetImage", &good), Ok(()));
        for (bad, place) in [
            (
                json!({ "repositoryName": "team/app" }),
                "BatchGetImage: imageIds is required",
            ),
            (
                json!({ "repositoryName": "Team", "imageIds": ids(1) }),
                "BatchGetImage.repositoryName",
            ),
            (
                json!({ "repositoryName": "team", "imageIds": ids(101) }),
                "BatchGetImage.imageIds: 101 elements",
            ),
            (
                json!({ "repositoryNam": "team", "imageIds": ids(1) }),
                "BatchGetImage: repositoryName is required",
            ),
            (
                json!({ "repositoryName": "team", "imageIds": [{ "tag": "v1" }] }),
                "BatchGetImage.imageIds[0]: unknown member tag",
            ),
        ] {
            let mismatch = ecr().check_request("BatchGetImage", &bad).unwrap_err();
            assert!(mismatch.to_string().starts_with(place), "{mismatch}");
        }
        let codebuild = Model::of(Service::CodeBuild).unwrap();
        let start = |kind: &str| {
            let variable = json!({ "name": "A", "value": "b", "type": kind });
            let input = json!({ "projectName": "p", "environmentVariablesOverride": [variable] });
            codebuild.check_request("StartBuild", &input)
        };
        assert_eq!(start("PLAINTEXT"), Ok(()));
        assert!(start("PLAIN").is_err());
    }

    #[test]
    fn answers_and_errors_are_too() {
        let answer = |code: &str| {
            let failure = json!({ "imageId": { "imageTag": "v1" }, "failureCode": code });
            ecr().check_answer(
                "BatchGetImage",
                &json!({ "images": [], "failures": [failure] }),
            )
        };
        assert_eq!(answer("ImageNotFound"), Ok(()));
        assert!(answer("ImageIsGone").is_err());
        for (code, is_known) in [
            ("ImageAlreadyExistsException", true),
            ("ThrottlingException", true),
            ("ImageNotFoundException", false),
        ] {
            assert_eq!(
                ecr().check_error("PutImage", code).is_ok(),
                is_known,
                "{code}"
            );
        }
    }

    #[test]
    fn a_request_over_rest_has_its_members_in_path_and_headers() {
        let lambda = Model::of(Service::Lambda).unwrap();
        let check = |path: &str, kind: &str| {
            let header = |name: &str| (name == "x-amz-invocation-type").then(|| kind.to_owned());
            let input = lambda.rest_input("Invoke", "POST", path, header);
            input.and_then(|input| lambda.check_request("Invoke", &input))
        };
        let path = "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af/invocations";
        assert_eq!(check(path, "Event"), Ok(()));
        assert!(check(path, "Later").is_err());
        assert!(check("/2015-03-31/functions/a b/invocations", "Event").is_err());
        assert!(check("/2015-03-31/functions/f", "Event").is_err());
    }
}
