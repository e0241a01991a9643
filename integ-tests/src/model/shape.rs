//! Shapes of a model, and JSON held against them: members, required ones, types, lengths, ranges, patterns, enums.
//! In: a shape's name and a value. Out: the first mismatch.

use std::{collections::BTreeMap, fmt};

use regex_lite::Regex;
use serde_json::{Map, Value};

/// Where a value does not match a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    place: String,
    what: String,
}

impl Mismatch {
    pub(super) fn new(place: &str, what: impl Into<String>) -> Self {
        Self {
            place: place.to_owned(),
            what: what.into(),
        }
    }
}

impl fmt::Display for Mismatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}

impl std::error::Error for Mismatch {}

/// Whose words a value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    /// A program's.
    Request,
    /// A service's. Its lists may be empty whatever the model says: AWS's own documentation shows `"buildsNotFound": []`.
    Answer,
}

/// The shapes of one model.
pub(super) struct Shapes {
    shapes: Map<String, Value>,
    /// By shape. One that this engine cannot read is not there, and [`Shapes::check`] says so.
    patterns: BTreeMap<String, Regex>,
}

impl Shapes {
    pub(super) fn new(shapes: Map<String, Value>) -> Self {
        let compiled = shapes.iter().filter_map(|(name, shape)| {
            // AWS means all of the text, with anchors or without.
            let pattern = shape["pattern"].as_str()?;
            let regex = Regex::new(&format!("^(?:{pattern})$")).ok()?;
            Some((name.clone(), regex))
        });
        let patterns = compiled.collect();
        Self { shapes, patterns }
    }

    /// The members of a structure.
    pub(super) fn members(&self, shape: &str) -> impl Iterator<Item = (&String, &Value)> {
        let members = self.shapes.get(shape);
        let members = members.and_then(|shape| shape["members"].as_object());
        members.into_iter().flatten()
    }

    /// Holds a value against a shape.
    pub(super) fn check(
        &self,
        name: &str,
        value: &Value,
        place: &str,
        side: Side,
    ) -> Result<(), Mismatch> {
        let Some(shape) = self.shapes.get(name) else {
            return Err(Mismatch::new(place, format!("unknown shape {name}")));
        };
        let of = |part: &str| shape[part]["shape"].as_str().unwrap_or_default();
        match (shape["type"].as_str().unwrap_or_default(), value) {
            ("structure", Value::Object(object)) => self.structure(shape, object, place, side),
            ("list", Value::Array(items)) => {
                if side == Side::Request || !items.is_empty() {
                    within(shape, items.len(), "elements", place)?;
                }
                let mut items = items.iter().enumerate();
                items.try_for_each(|(at, item)| {
                    self.check(of("member"), item, &format!("{place}[{at}]"), side)
                })
            }
            ("map", Value::Object(entries)) => entries.iter().try_for_each(|(key, value)| {
                self.check(of("key"), &Value::from(key.as_str()), place, side)?;
                self.check(of("value"), value, &format!("{place}.{key}"), side)
            }),
            ("string", Value::String(text)) => self.text(name, shape, text, place),
            ("blob", Value::String(_)) | ("boolean", Value::Bool(_)) => Ok(()),
            ("integer" | "long", Value::Number(number)) if !number.is_f64() => {
                let number = number.as_i64().unwrap_or(i64::MAX);
                let least = shape["min"].as_i64().unwrap_or(i64::MIN);
                let most = shape["max"].as_i64().unwrap_or(i64::MAX);
                ensure((least..=most).contains(&number), place, || {
                    format!("{number}, expected {least} to {most}")
                })
            }
            // In JSON, seconds.
            ("timestamp" | "double" | "float", Value::Number(_)) => Ok(()),
            (kind, value) => Err(Mismatch::new(
                place,
                format!("expected type {kind}, got {value}"),
            )),
        }
    }

    fn structure(
        &self,
        shape: &Value,
        object: &Map<String, Value>,
        place: &str,
        side: Side,
    ) -> Result<(), Mismatch> {
        // Services and SDKs read null as not given.
        let given = |name: &str| object.get(name).is_some_and(|value| !value.is_null());
        let required = shape["required"].as_array().into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            ensure(given(name), place, || format!("{name} is required"))?;
        }
        for (name, value) in object {
            let Some(member) = shape["members"][name]["shape"].as_str() else {
                return Err(Mismatch::new(place, format!("unknown member {name}")));
            };
            if given(name) {
                self.check(member, value, &format!("{place}.{name}"), side)?;
            }
        }
        Ok(())
    }

    fn text(&self, name: &str, shape: &Value, text: &str, place: &str) -> Result<(), Mismatch> {
        within(shape, text.chars().count(), "characters", place)?;
        let values = shape["enum"].as_array();
        let known = values.is_none_or(|values| values.iter().any(|value| value == text));
        ensure(known, place, || {
            format!("{text:?} is not a value of {name}")
        })?;
        let Some(pattern) = shape["pattern"].as_str() else {
            return Ok(());
        };
        let regex = self
            .patterns
            .get(name)
            .ok_or_else(|| Mismatch::new(place, format!("cannot read the pattern {pattern}")))?;
        ensure(regex.is_match(text), place, || {
            format!("{text:?} does not match {pattern}")
        })
    }
}

/// AWS's `min` and `max` of how many there are.
fn within(shape: &Value, count: usize, what: &str, place: &str) -> Result<(), Mismatch> {
    let least = shape["min"].as_u64().unwrap_or(0);
    let most = shape["max"].as_u64().unwrap_or(u64::MAX);
    ensure((least..=most).contains(&(count as u64)), place, || {
        format!("{count} {what}, expected {least} to {most}")
    })
}

fn ensure(fits: bool, place: &str, what: impl FnOnce() -> String) -> Result<(), Mismatch> {
    if fits {
        return Ok(());
    }
    Err(Mismatch::new(place, what()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shapes() -> Shapes {
        let shapes = json!({
            "Build": { "type": "structure", "required": ["name"], "members": {
                "name": { "shape": "Name" }, "status": { "shape": "Status" }, "tags": { "shape": "Tags" },
                "minutes": { "shape": "Minutes" }, "at": { "shape": "Time" }, "isDone": { "shape": "Truth" },
                "notes": { "shape": "Notes" },
            } },
            "Name": { "type": "string", "min": 2, "max": 4, "pattern": "[a-z]+" },
            "Status": { "type": "string", "enum": ["GOOD", "BAD"] },
            "Tags": { "type": "list", "member": { "shape": "Name" }, "min": 1, "max": 2 },
            "Minutes": { "type": "integer", "min": 5, "max": 9 },
            "Time": { "type": "timestamp" },
            "Truth": { "type": "boolean" },
            "Notes": { "type": "map", "key": { "shape": "Name" }, "value": { "shape": "Truth" } },
        });
        Shapes::new(shapes.as_object().unwrap().clone())
    }

    #[test]
    fn values_that_match_pass() {
        for value in [
            json!({ "name": "ab" }),
            json!({ "name": "abcd", "status": "BAD", "tags": ["ab"], "minutes": 9, "at": 1.5 }),
            json!({ "name": "ab", "status": null, "isDone": false, "notes": { "ab": true } }),
        ] {
            for side in [Side::Request, Side::Answer] {
                assert_eq!(
                    shapes().check("Build", &value, "it", side),
                    Ok(()),
                    "{value}"
                );
            }
        }
    }

    #[test]
    fn mismatches_are_named() {
        for (value, expected) in [
            (json!({}), "it: name is required"),
            (json!({ "name": null }), "it: name is required"),
            (json!({ "name": "ab", "nam": 1 }), "it: unknown member nam"),
            (json!({ "name": 1 }), "it.name: expected type string, got 1"),
            (
                json!({ "name": "a" }),
                "it.name: 1 characters, expected 2 to 4",
            ),
            (
                json!({ "name": "aB" }),
                "it.name: \"aB\" does not match [a-z]+",
            ),
            (
                json!({ "name": "ab", "status": "good" }),
                "it.status: \"good\" is not a value of Status",
            ),
            (
                json!({ "name": "ab", "tags": ["ab", "x"] }),
                "it.tags[1]: 1 characters, expected 2 to 4",
            ),
            (
                json!({ "name": "ab", "tags": ["ab", "ab", "ab"] }),
                "it.tags: 3 elements, expected 1 to 2",
            ),
            (
                json!({ "name": "ab", "minutes": 4 }),
                "it.minutes: 4, expected 5 to 9",
            ),
            (
                json!({ "name": "ab", "minutes": 5.5 }),
                "it.minutes: expected type integer, got 5.5",
            ),
            (
                json!({ "name": "ab", "at": "today" }),
                "it.at: expected type timestamp, got \"today\"",
            ),
            (
                json!({ "name": "ab", "notes": { "ab": 1 } }),
                "it.notes.ab: expected type boolean, got 1",
            ),
            (json!([]), "it: expected type structure, got []"),
        ] {
            let mismatch = shapes()
                .check("Build", &value, "it", Side::Answer)
                .unwrap_err();
            assert_eq!(mismatch.to_string(), expected);
        }
    }

    #[test]
    fn only_a_service_sends_empty_lists() {
        let value = json!({ "name": "ab", "tags": [] });
        let mismatch = shapes()
            .check("Build", &value, "it", Side::Request)
            .unwrap_err();
        assert_eq!(mismatch.to_string(), "it.tags: 0 elements, expected 1 to 2");
        assert_eq!(shapes().check("Build", &value, "it", Side::Answer), Ok(()));
    }
}
