//! What CloudFormation makes of a template's references. In: a template, and a value in it. Out: the value with names and ARNs
//! in place of references. Physical names are made up as CloudFormation makes them, but always the same.

use serde_json::{Map, Value};

use crate::account::{ACCOUNT_ID, REGION};

/// A region, and how AWS is addressed there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The region.
    pub region: &'static str,
    /// The second part of every ARN.
    pub partition: &'static str,
    /// The end of host names.
    pub suffix: &'static str,
}

impl Place {
    /// Where the local cloud is.
    pub const HOME: Self = Self {
        region: REGION,
        partition: "aws",
        suffix: "amazonaws.com",
    };
    /// In China.
    pub const CHINA: Self = Self {
        region: "cn-north-1",
        partition: "aws-cn",
        suffix: "amazonaws.com.cn",
    };
    /// In GovCloud.
    pub const GOVCLOUD: Self = Self {
        region: "us-gov-west-1",
        partition: "aws-us-gov",
        suffix: "amazonaws.com",
    };

    /// What is said of [`Self::HOME`], said of this place.
    pub fn translate(&self, text: &str) -> String {
        let arns = format!("arn:{}:", self.partition);
        text.replace("arn:aws:", &arns).replace(REGION, self.region)
    }

    fn arn(&self, service: &str, name: &str) -> String {
        let Self {
            region, partition, ..
        } = self;
        format!("arn:{partition}:{service}:{region}:{ACCOUNT_ID}:{name}")
    }
}

/// A stack: a template that was deployed, as far as names go.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) template: Value,
}

/// A reference that this resolver does not know: better no test than one on a wrong template.
#[derive(Debug, thiserror::Error)]
#[error("stack {stack}: cannot resolve {what}")]
pub struct Unresolved {
    stack: String,
    what: String,
}

impl Stack {
    /// The resources of one type: logical id and definition.
    pub(super) fn resources<'a>(
        &'a self,
        kind: &'a str,
    ) -> impl Iterator<Item = (&'a String, &'a Value)> {
        let all = self.template["Resources"].as_object().into_iter().flatten();
        all.filter(move |(_, resource)| resource["Type"] == kind)
    }

    /// The ARN of the stack.
    pub(super) fn id(&self) -> String {
        let name = format!("stack/{}/6b0a4f60-0000-11f0-8000-0e0000000001", self.name);
        self.place.arn("cloudformation", &name)
    }

    /// The physical name of a resource.
    pub(super) fn name_of(&self, id: &str) -> Result<String, Unresolved> {
        let resource = &self.template["Resources"][id];
        let kind = resource["Type"]
            .as_str()
            .ok_or_else(|| self.unresolved(id))?;
        let field = match kind {
            "AWS::IAM::Role" => "RoleName",
            "AWS::Lambda::Function" => "FunctionName",
            "AWS::CodeBuild::Project" => "Name",
            "AWS::Logs::LogGroup" => "LogGroupName",
            "AWS::ECR::Repository" => "RepositoryName",
            _ => return Err(self.unresolved(&format!("the name of {id}, a {kind}"))),
        };
        match &resource["Properties"][field] {
            Value::Null => {
                // Room for what CloudFormation puts behind it: names have at most 64 characters.
                let start: String = id.chars().take(24).collect();
                Ok(format!("{}-{start}-L0CALSUFF1X0", self.name))
            }
            given => self.text(given),
        }
    }

    /// The ARN of a resource.
    pub(super) fn arn_of(&self, id: &str) -> Result<String, Unresolved> {
        let name = self.name_of(id)?;
        let kind = self.template["Resources"][id]["Type"]
            .as_str()
            .unwrap_or_default();
        let arn = |service: &str, what: &str| self.place.arn(service, &format!("{what}{name}"));
        Ok(match kind {
            "AWS::IAM::Role" => {
                let partition = self.place.partition;
                format!("arn:{partition}:iam::{ACCOUNT_ID}:role/{name}")
            }
            "AWS::Lambda::Function" => arn("lambda", "function:"),
            "AWS::CodeBuild::Project" => arn("codebuild", "project/"),
            // With the streams in it, as CloudFormation gives it.
            "AWS::Logs::LogGroup" => arn("logs", "log-group:") + ":*",
            _ => arn("ecr", "repository/"),
        })
    }

    /// A value that comes to text.
    pub(super) fn text(&self, value: &Value) -> Result<String, Unresolved> {
        match self.resolve(value)? {
            Value::String(text) => Ok(text),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(truth) => Ok(truth.to_string()),
            other => Err(self.unresolved(&format!("{other} as text"))),
        }
    }

    /// A value with all references in it resolved.
    pub(super) fn resolve(&self, value: &Value) -> Result<Value, Unresolved> {
        match value {
            Value::Object(object) => {
                if let Some((function, argument)) = only(object)
                    && (function == "Ref" || function.starts_with("Fn::"))
                {
                    return self.call(function, argument);
                }
                let fields = object
                    .iter()
                    .map(|(name, value)| Ok((name.clone(), self.resolve(value)?)));
                Ok(Value::Object(fields.collect::<Result<_, Unresolved>>()?))
            }
            Value::Array(items) => {
                let items = items.iter().map(|item| self.resolve(item));
                Ok(Value::Array(items.collect::<Result<_, Unresolved>>()?))
            }
            plain => Ok(plain.clone()),
        }
    }

    fn call(&self, function: &str, argument: &Value) -> Result<Value, Unresolved> {
        let unresolved = || self.unresolved(&format!("{function} {argument}"));
        match (function, argument) {
            ("Ref", Value::String(id)) => self.reference(id).map(Value::String),
            ("Fn::GetAtt", Value::Array(path)) => match path.as_slice() {
                [Value::String(id), Value::String(attribute)] if attribute == "Arn" => {
                    self.arn_of(id).map(Value::String)
                }
                _ => Err(unresolved()),
            },
            ("Fn::Join", Value::Array(parts)) => {
                let [Value::String(between), items] = parts.as_slice() else {
                    return Err(unresolved());
                };
                let items = self.texts(items)?;
                Ok(Value::String(items.join(between)))
            }
            ("Fn::Split", Value::Array(parts)) => {
                let [Value::String(between), text] = parts.as_slice() else {
                    return Err(unresolved());
                };
                let text = self.text(text)?;
                Ok(text.split(between.as_str()).collect())
            }
            ("Fn::Select", Value::Array(parts)) => {
                let [at, items] = parts.as_slice() else {
                    return Err(unresolved());
                };
                let at: usize = self.text(at)?.parse().map_err(|_| unresolved())?;
                let items = self.texts(items)?;
                items
                    .get(at)
                    .cloned()
                    .map(Value::String)
                    .ok_or_else(unresolved)
            }
            ("Fn::Sub", Value::String(text)) => self.substitute(text).map(Value::String),
            _ => Err(unresolved()),
        }
    }

    fn texts(&self, items: &Value) -> Result<Vec<String>, Unresolved> {
        let items = self.resolve(items)?;
        let items = items
            .as_array()
            .ok_or_else(|| self.unresolved(&format!("{items} as a list")))?;
        items.iter().map(|item| self.text(item)).collect()
    }

    /// `${Name}` and `${Id.Arn}`; the form with a map of its own is not used by the CDK.
    fn substitute(&self, text: &str) -> Result<String, Unresolved> {
        let mut pieces = text.split("${");
        let mut done = pieces.next().unwrap_or_default().to_owned();
        for piece in pieces {
            let (name, rest) = piece.split_once('}').ok_or_else(|| self.unresolved(text))?;
            done += &match name.split_once('.') {
                Some((id, "Arn")) => self.arn_of(id)?,
                Some(_) => return Err(self.unresolved(text)),
                None => self.reference(name)?,
            };
            done += rest;
        }
        Ok(done)
    }

    fn reference(&self, id: &str) -> Result<String, Unresolved> {
        Ok(match id {
            "AWS::AccountId" => ACCOUNT_ID.to_owned(),
            "AWS::Region" => self.place.region.to_owned(),
            "AWS::Partition" => self.place.partition.to_owned(),
            "AWS::URLSuffix" => self.place.suffix.to_owned(),
            "AWS::StackName" => self.name.clone(),
            "AWS::StackId" => self.id(),
            _ => return self.name_of(id),
        })
    }

    pub(super) fn unresolved(&self, what: &str) -> Unresolved {
        Unresolved {
            stack: self.name.clone(),
            what: what.to_owned(),
        }
    }
}

/// The one field of an object that has one.
fn only(object: &Map<String, Value>) -> Option<(&String, &Value)> {
    let mut fields = object.iter();
    let first = fields.next()?;
    fields.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stack() -> Stack {
        Stack {
            name: "S".to_owned(),
            place: Place::HOME,
            template: json!({ "Resources": {
                "Role": { "Type": "AWS::IAM::Role", "Properties": {} },
                "Named": { "Type": "AWS::IAM::Role", "Properties": { "RoleName": { "Fn::Sub": "r-${AWS::Region}" } } },
                "Logs": { "Type": "AWS::Logs::LogGroup" },
                "Other": { "Type": "AWS::Some::Other" },
            } }),
        }
    }

    #[test]
    fn references_become_names_and_arns() {
        let value = json!({
            "role": { "Fn::GetAtt": ["Role", "Arn"] },
            "named": { "Ref": "Named" },
            "logs": { "Fn::GetAtt": ["Logs", "Arn"] },
            "joined": { "Fn::Join": ["/", ["a", { "Ref": "AWS::AccountId" }, { "Fn::Sub": "${Named.Arn}!" }]] },
            "chosen": { "Fn::Select": ["1", { "Fn::Split": ["-", "x-y-z"] }] },
            "plain": ["kept", 1, true, null],
        });
        let resolved = stack().resolve(&value).unwrap();
        let expected = json!({
            "role": "arn:aws:iam::000000000000:role/S-Role-L0CALSUFF1X0",
            "named": "r-us-east-1",
            "logs": "arn:aws:logs:us-east-1:000000000000:log-group:S-Logs-L0CALSUFF1X0:*",
            "joined": "a/000000000000/arn:aws:iam::000000000000:role/r-us-east-1!",
            "chosen": "y",
            "plain": ["kept", 1, true, null],
        });
        assert_eq!(resolved, expected);
    }

    #[test]
    fn elsewhere_arns_are_those_of_the_place() {
        let place = Place::CHINA;
        let value = json!({ "Fn::Join": ["|", [
            { "Fn::GetAtt": ["Role", "Arn"] },
            { "Fn::GetAtt": ["Logs", "Arn"] },
            { "Ref": "AWS::URLSuffix" },
        ] ] });
        let stack = Stack { place, ..stack() };
        let resolved = stack.resolve(&value).unwrap();
        let expected = "arn:aws-cn:iam::000000000000:role/S-Role-L0CALSUFF1X0|\
                        arn:aws-cn:logs:cn-north-1:000000000000:log-group:S-Logs-L0CALSUFF1X0:*|amazonaws.com.cn";
        assert_eq!(resolved, expected);
        let home = "arn:aws:ecr:us-east-1:000000000000:repository/app";
        let there = "arn:aws-cn:ecr:cn-north-1:000000000000:repository/app";
        assert_eq!(place.translate(home), there);
    }

    #[test]
    fn what_it_does_not_know_it_refuses() {
        for unknown in [
            json!({ "Ref": "Missing" }),
            json!({ "Ref": "Other" }),
            json!({ "Fn::GetAtt": ["Role", "RoleId"] }),
            json!({ "Fn::ImportValue": "x" }),
            json!({ "Fn::Sub": "${Role.RoleId}" }),
            json!({ "Fn::Select": ["9", ["a"]] }),
        ] {
            assert!(stack().resolve(&unknown).is_err(), "{unknown}");
        }
    }
}
