//! Error bodies: what a registry says of a failed request.
//! In: the body. Out: its code and message, each one line of bounded length. Pure, and public for the fuzz targets.

use serde::Deserialize;
use soci_format::printable::one_line;

/// Enough of a message for any registry's sentence.
pub const MESSAGE_MAX: usize = 500;

/// Code and message of an error body: the distribution specification's form, or that of AWS services.
pub fn parse_error_body(body: &[u8]) -> (String, String) {
    #[derive(Deserialize)]
    struct Errors {
        errors: Vec<One>,
    }
    #[derive(Deserialize)]
    struct One {
        #[serde(default, alias = "__type")]
        code: Option<String>,
        #[serde(default, alias = "Message", alias = "details")]
        message: Option<String>,
    }
    let one = match serde_json::from_slice::<Errors>(body) {
        Ok(many) => many.errors.into_iter().next(),
        Err(_) => serde_json::from_slice::<One>(body).ok(),
    };
    one.map(|one| {
        let code = one.code.unwrap_or_default();
        // AWS prefixes some names with a namespace.
        let code = code.rsplit('#').next().unwrap_or_default();
        (
            bounded_line(code),
            bounded_line(&one.message.unwrap_or_default()),
        )
    })
    .unwrap_or_default()
}

/// One line of bounded length, whatever the registry sent.
pub(crate) fn bounded_line(text: &str) -> String {
    let line = one_line(text);
    let start: String = line.chars().take(MESSAGE_MAX).collect();
    let more = if start.len() < line.len() { "…" } else { "" };
    format!("{}{more}", start.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_forms_of_error_are_read() {
        let oci = br#"{"errors":[{"code":"DENIED","message":"no\u0007\nway","detail":{"a":1}},{"code":"OTHER"}]}"#;
        assert_eq!(
            parse_error_body(oci),
            ("DENIED".to_owned(), r"no\u{7} way".to_owned())
        );
        let aws = br#"{"__type":"com.amazonaws#ThrottlingException","Message":"Rate exceeded"}"#;
        assert_eq!(
            parse_error_body(aws),
            ("ThrottlingException".to_owned(), "Rate exceeded".to_owned())
        );
        for other in [&b"<html>"[..], b"", b"[]", b"{}", br#"{"errors":[]}"#] {
            assert_eq!(parse_error_body(other), Default::default());
        }
    }

    #[test]
    fn a_long_message_is_cut() {
        // An escape is longer than what it stands for.
        for repeated in ["é", "\u{7}"] {
            let line = bounded_line(&repeated.repeat(10_000));
            assert_eq!(line.chars().count(), MESSAGE_MAX + 1);
        }
    }
}
