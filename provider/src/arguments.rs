//! The builder's arguments as a build's environment has them: one line, in as many variables as it takes.
//! In: arguments. Out: the variables' values. Pure. The buildspec of the construct reads them back.

use std::fmt::Write;

/// CodeBuild takes no longer value: "EnvironmentVariable should be at most 4096 characters".
pub const VARIABLE_CHARS: usize = 4_096;
/// A page of 100 builds has all of their variables, and is held whole.
pub const VARIABLES_MAX: usize = 8;
/// What all arguments may take together.
pub const CHARS_MAX: usize = VARIABLES_MAX * VARIABLE_CHARS;

/// Between two arguments, which never hold it.
const SEPARATOR: &str = ",";

/// The values: percent-encoded arguments with commas in between, cut wherever a variable is full. Nothing in them means anything to a
/// shell, or can be lost at the end of a line.
#[must_use]
pub fn encode(arguments: &[String]) -> Vec<String> {
    let text = text(arguments);
    // All of it is ASCII.
    let parts = text.as_bytes().chunks(VARIABLE_CHARS);
    parts
        .map(|part| String::from_utf8_lossy(part).into_owned())
        .collect()
}

/// How many characters all of the arguments take.
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
    fn what_a_shell_could_read_is_encoded() {
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
