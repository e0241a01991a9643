//! Text of others on its way to a terminal, a log or a page.
//! In: any text. Out: the same with nothing in it that a terminal obeys or that deceives a reader. Pure.

/// `text` with what does not print written as an escape, so that a name cannot look like another one.
pub fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match does_not_print(c) {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// The same for a name of any bytes: those that are not UTF-8 are written as `\xff`.
pub fn printable_bytes(name: &[u8]) -> String {
    let mut shown = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        shown.push_str(&printable(chunk.valid()));
        for byte in chunk.invalid() {
            shown.push_str(&format!("\\x{byte:02x}"));
        }
    }
    shown
}

/// What a service says, in one line: line breaks and tabs become spaces, whatever else does not print an escape.
pub fn one_line(text: &str) -> String {
    printable(&text.replace(['\n', '\r', '\t'], " "))
}

/// Control characters, and Unicode's format characters as far as text could deceive with them: they turn the reading order or show
/// as nothing.
fn does_not_print(c: char) -> bool {
    c.is_control()
        || matches!(
            c,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
                | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_obeys_or_a_reader_overlooks_is_an_escape() {
        assert_eq!(printable("\u{1b}[2Ja\nb\u{9b}c"), r"\u{1b}[2Ja\nb\u{9b}c");
        assert_eq!(printable("a\u{202e}txt.exe"), r"a\u{202e}txt.exe");
        assert_eq!(printable("\u{200b}\u{e0041}"), r"\u{200b}\u{e0041}");
        for plain in ["", "a/b-c.d", "Grüße, 日本 🙂", r"back\slash"] {
            assert_eq!(printable(plain), plain);
        }
    }

    #[test]
    fn names_may_have_any_bytes() {
        assert_eq!(printable_bytes(b"a\x1b\xff\xc3"), r"a\u{1b}\xff\xc3");
        assert_eq!(printable_bytes("größe".as_bytes()), "größe");
    }

    #[test]
    fn what_a_service_says_is_one_line() {
        assert_eq!(one_line("no\r\n\tway\u{7}"), r"no   way\u{7}");
    }
}
