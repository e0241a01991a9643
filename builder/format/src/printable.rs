//! Text of others on its way to a terminal or into a log.
//! In: any text. Out: the same in one line, with nothing in it that a terminal obeys. Pure.

/// `text` with what does not print written as an escape: control characters, and those that turn the reading order, so that a
/// name cannot look like another one.
pub fn printable(text: &str) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() || turns_reading_order(c) {
            true => line.extend(c.escape_default()),
            false => line.push(c),
        }
    }
    line
}

/// Marks, embeddings, overrides and isolates of the bidirectional algorithm (Unicode, annex 9).
fn turns_reading_order(c: char) -> bool {
    matches!(
        c,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_is_shown_instead() {
        assert_eq!(printable("\u{1b}[2Ja\nb\u{9b}c"), r"\u{1b}[2Ja\nb\u{9b}c");
        assert_eq!(printable("a\u{202e}txt.exe"), r"a\u{202e}txt.exe");
        for plain in ["", "a/b-c.d", "Grüße, 日本 🙂", r"back\slash"] {
            assert_eq!(printable(plain), plain);
        }
    }
}
