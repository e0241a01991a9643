//! Numbers of things, as people write them. Pure.

/// The word that fits the number: `layer` for 1, else `layers`.
pub fn word<'a>(number: u64, one: &'a str, many: &'a str) -> &'a str {
    if number == 1 { one } else { many }
}

/// `1 layer`, `2 layers`: the number, and the word that fits it.
pub fn counted(number: impl TryInto<u64>, one: &str, many: &str) -> String {
    // What does not fit is more than one, and no number of anything here is as large.
    let number = number.try_into().unwrap_or(u64::MAX);
    format!("{number} {}", word(number, one, many))
}

/// `1 byte`, `2 bytes`.
pub fn bytes(number: impl TryInto<u64>) -> String {
    counted(number, "byte", "bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_one_is_singular() {
        assert_eq!(counted(0_usize, "entry", "entries"), "0 entries");
        assert_eq!(counted(1_u64, "entry", "entries"), "1 entry");
        assert_eq!(counted(2_i32, "entry", "entries"), "2 entries");
        assert_eq!(bytes(1_usize), "1 byte");
    }
}
