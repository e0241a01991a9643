//! Policy documents: what they allow and deny.
//! In: documents, an action, a resource, and what is known besides. Out: allowed, denied, or not mentioned. Pure.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is known of a call besides action and resource, by condition key.
pub type Context = BTreeMap<String, String>;

/// What documents say of an action on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Some statement allows it, and none denies it.
    Allowed,
    /// A statement denies it.
    Denied,
    /// No statement speaks of it.
    Silent,
}

/// A document that is not understood: better to say so than to allow or deny for the wrong reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A part that this cloud does not play.
    #[error("cannot evaluate {part:?} in a policy statement: {statement}")]
    Unplayed {
        /// Which.
        part: String,
        /// Where.
        statement: String,
    },
    /// A part that is missing or of the wrong form.
    #[error("{part} of a policy statement is missing or invalid: {statement}")]
    Wrong {
        /// Which.
        part: &'static str,
        /// Where.
        statement: String,
    },
}

/// Judges an action on a resource.
///
/// # Errors
/// Where a document is not understood.
pub fn judge(
    documents: &[Value],
    action: &str,
    resource: &str,
    context: &Context,
) -> Result<Verdict, Error> {
    let mut verdict = Verdict::Silent;
    for statement in documents.iter().flat_map(|one| list(&one["Statement"])) {
        match speaks(statement, action, resource, context)? {
            Some(true) if verdict == Verdict::Silent => verdict = Verdict::Allowed,
            Some(false) => verdict = Verdict::Denied,
            _ => {}
        }
    }
    Ok(verdict)
}

/// Whether the statement allows (`true`) or denies it, where it speaks of it.
fn speaks(
    statement: &Value,
    action: &str,
    resource: &str,
    context: &Context,
) -> Result<Option<bool>, Error> {
    let wrong = |part| Error::Wrong {
        part,
        statement: statement.to_string(),
    };
    for part in ["NotAction", "NotResource", "Principal", "NotPrincipal"] {
        if statement.get(part).is_some() {
            return Err(Error::Unplayed {
                part: part.to_owned(),
                statement: statement.to_string(),
            });
        }
    }
    let allows = match statement["Effect"].as_str() {
        Some("Allow") => true,
        Some("Deny") => false,
        _ => return Err(wrong("Effect")),
    };
    let action = action.to_ascii_lowercase();
    let named = any(&statement["Action"], |pattern| {
        matches(&pattern.to_ascii_lowercase(), &action)
    });
    let meant = any(&statement["Resource"], |pattern| matches(pattern, resource));
    if !(named.ok_or_else(|| wrong("Action"))? && meant.ok_or_else(|| wrong("Resource"))?) {
        return Ok(None);
    }
    // Only here: a condition on something else is none of this call's business.
    let unplayed = || Error::Unplayed {
        part: "Condition".to_owned(),
        statement: statement.to_string(),
    };
    let conditions = &statement["Condition"];
    let holds = conditions.is_null() || hold(conditions, context).ok_or_else(unplayed)?;
    Ok(holds.then_some(allows))
}

/// Whether all conditions hold; none where one is not understood. A key that the call does not have holds for nothing.
fn hold(conditions: &Value, context: &Context) -> Option<bool> {
    let mut all = true;
    for (operator, keys) in conditions.as_object()? {
        let compare: fn(&str, &str) -> bool = match operator.as_str() {
            "StringEquals" => |pattern, text| pattern == text,
            "StringLike" => matches,
            "ArnEquals" | "ArnLike" => arn_matches,
            _ => return None,
        };
        for (key, values) in keys.as_object()? {
            let mut known = context.iter();
            let known = known.find(|(name, _)| name.eq_ignore_ascii_case(key));
            let any = any(values, |value| {
                known.is_some_and(|(_, text)| compare(value, text))
            });
            all &= any?;
        }
    }
    Some(all)
}

/// Each part between colons for itself; no wildcard reaches over a colon.
fn arn_matches(pattern: &str, arn: &str) -> bool {
    let (mut patterns, mut parts) = (pattern.splitn(6, ':'), arn.splitn(6, ':'));
    loop {
        match (patterns.next(), parts.next()) {
            (None, None) => return true,
            (Some(pattern), Some(part)) if matches(pattern, part) => {}
            _ => return false,
        }
    }
}

/// A list, or one thing without a list around it.
fn list(value: &Value) -> &[Value] {
    match value {
        Value::Array(items) => items,
        Value::Null => &[],
        one => std::slice::from_ref(one),
    }
}

fn any(value: &Value, test: impl Fn(&str) -> bool) -> Option<bool> {
    let mut found = None;
    for item in list(value) {
        found = Some(found.unwrap_or(false) | test(item.as_str()?));
    }
    found
}

/// IAM's wildcards: `*` any text, `?` any one character.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut at, mut read) = (0, 0);
    // Where the last star was, and up to where it has eaten.
    let mut star = None;
    while read < text.len() {
        match pattern.get(at) {
            Some(b'*') => {
                star = Some((at, read));
                at += 1;
            }
            Some(&byte) if byte == b'?' || byte == text[read] => {
                at += 1;
                read += 1;
            }
            _ => {
                let Some((star_at, eaten)) = star else {
                    return false;
                };
                star = Some((star_at, eaten + 1));
                at = star_at + 1;
                read = eaten + 1;
            }
        }
    }
    pattern[at..].iter().all(|&byte| byte == b'*')
}
