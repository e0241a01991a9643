//! JSON as Go's `encoding/json` reads and writes it: the reference implementation's digests are digests of such text.

use std::io;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::ser::{CompactFormatter, Formatter, Serializer};

/// `value` as compact JSON, with the five characters escaped that Go escapes and serde_json does not.
pub fn to_go_json<T: Serialize>(value: &T) -> Vec<u8> {
    let mut json = Vec::new();
    value
        .serialize(&mut Serializer::with_formatter(&mut json, GoFormatter))
        .expect("manifests have string keys only, and a Vec takes every write");
    json
}

/// Go reads `null` as nothing, and some tools write it.
pub(super) fn null_is_default<'de, D: Deserializer<'de>, T: Deserialize<'de> + Default>(
    deserializer: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

struct GoFormatter;

impl Formatter for GoFormatter {
    fn write_string_fragment<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        fragment: &str,
    ) -> io::Result<()> {
        let mut plain_from = 0;
        for (at, found) in fragment.char_indices() {
            if matches!(found, '<' | '>' | '&' | '\u{2028}' | '\u{2029}') {
                writer.write_all(&fragment.as_bytes()[plain_from..at])?;
                write!(writer, "\\u{:04x}", u32::from(found))?;
                plain_from = at + found.len_utf8();
            }
        }
        CompactFormatter.write_string_fragment(writer, &fragment[plain_from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_what_go_escapes() {
        let json = to_go_json(&"a<b>&\u{2028}\u{2029}é\"\\\n\u{1}\u{7f}");
        assert_eq!(
            String::from_utf8(json).unwrap(),
            r#""a\u003cb\u003e\u0026\u2028\u2029é\"\\\n\u0001"#.to_owned() + "\u{7f}\""
        );
    }
}
