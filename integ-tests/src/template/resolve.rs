//! What CloudFormation makes of a template's references. In: a template, and a value in it. Out: the value with names and ARNs
//! in place of references. Physical names are made up as CloudFormation makes them, but always the same.

use serde_json::{Map, Value};

use crate::account::{ACCOUNT_ID, REGION};

/// A stack: a template that was deployed, as far as names go.
#[derive(Clone, Debug)]
pub(super) struct Stack {
    pub(super) name: String,
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
        let name = &self.name;
        format!(
            "arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{name}/6b0a4f60-0000-11f0-8000-0e0000000001"
        )
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
        Ok(match kind {
            "AWS::IAM::Role" => format!("arn:aws:iam::{ACCOUNT_ID}:role/{name}"),
            "AWS::Lambda::Function" => {
                format!("arn:aws:lambda:{REGION}:{ACCOUNT_ID}:function:{name}")
            }
            "AWS::CodeBuild::Project" => {
                format!("arn:aws:codebuild:{REGION}:{ACCOUNT_ID}:project/{name}")
            }
            // With the streams in it, as CloudFormation gives it.
            "AWS::Logs::LogGroup" => {
                format!("arn:aws:logs:{REGION}:{ACCOUNT_ID}:log-group:{name}:*")
            }
            _ => format!("arn:aws:ecr:{REGION}:{ACCOUNT_ID}:repository/{name}"),
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
            "AWS::Region" => REGION.to_owned(),
            "AWS::Partition" => "aws".to_owned(),
            "AWS::URLSuffix" => "amazonaws.com".to_owned(),
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
