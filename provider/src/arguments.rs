//! Encodes the builder's arguments as one line in as many environment variables as needed.
//! In: arguments. Out: the values of the variables. Pure. The construct's buildspec decodes them.

use std::fmt::Write;

/// CodeBuild's limit: "EnvironmentVariable should be at most 4096 characters".
pub const VARIABLE_CHARS: usize = 4_096;
/// Bounds memory: a page of 100 builds contains all of their variables.
pub const VARIABLES_MAX: usize = 8;
/// The limit for all arguments together.
pub const CHARS_MAX: usize = VARIABLES_MAX * VARIABLE_CHARS;

/// Separates arguments; never occurs in an encoded argument.
const SEPARATOR: &str = ",";

/// Percent-encodes the arguments, joins them with commas, and splits the text at the variables' size limit. The result has no
/// shell metacharacters and no trailing white space.
#[must_use]
pub fn encode(arguments: &[String]) -> Vec<String> {
    let text = text(arguments);
    // The text is ASCII.
    let parts = text.as_bytes().chunks(VARIABLE_CHARS);
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// The encoded length of all arguments.
#[must_use]
pub fn chars(arguments: &[String]) -> usize {
    text(arguments).len()
}

fn text(arguments: &[String]) -> String {
    let encoded = arguments.iter().map(|argument| {
        argument.bytes().fold(String::new(), |mut text, byte| {
            match byte {
                b'-' | b'.' | b'_' | b'/' | b':' | b'@' | b'=' => text.push(char::from(byte)),
                _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
                // Writing to a string cannot fail.
                _ => drop(write!(text, "%{byte:02X}")),
            }
            text
        })
    });
    encoded.collect::<Vec<_>>().join(SEPARATOR)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(arguments: &[&str]) -> Vec<String> {
        arguments.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn shell_metacharacters_are_encoded() {
        let arguments = owned(&[
            "index",
            "h.example/a:v1",
            "--output-tag=v1-soci",
            "a b,c%\\$'\n",
            "ü",
        ]);
        assert_eq!(
            encode(&arguments),
            ["index,h.example/a:v1,--output-tag=v1-soci,a%20b%2Cc%25%5C%24%27%0A,%C3%BC"]
        );
    }

    #[test]
    fn long_lists_take_several_variables() {
        let arguments = vec!["p".repeat(4_000); 8];
        let parts = encode(&arguments);
        assert_eq!(parts.len(), VARIABLES_MAX);
        assert!(parts.iter().all(|part| part.len() <= VARIABLE_CHARS));
        assert_eq!(parts.concat(), arguments.join(SEPARATOR));
        assert_eq!(parts.concat().len(), chars(&arguments));
    }
}
