//! Patterns of names: `*` stands for any number of any characters, everything else for itself.

use std::fmt;

/// A pattern.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Any text is a pattern.
    #[must_use]
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// Whether `text` as a whole fits. Takes time in proportion to both lengths, whatever the pattern.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        let mut parts = self.0.split('*');
        let first = parts.next().unwrap_or_default();
        let Some(mut rest) = text.strip_prefix(first) else {
            return false;
        };
        let Some(last) = parts.next_back() else {
            return rest.is_empty();
        };
        // The leftmost place leaves the most for the parts that follow.
        for part in parts {
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        rest.ends_with(last)
    }

    /// The only text that fits, if there is just one.
    #[must_use]
    pub fn literal(&self) -> Option<&str> {
        (!self.0.contains('*')).then_some(&*self.0)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, in exponential time.
    fn is_match(pattern: &str, text: &str) -> bool {
        let mut rest = pattern.chars();
        let mut chars = text.chars();
        match rest.next() {
            None => text.is_empty(),
            Some('*') => {
                is_match(rest.as_str(), text)
                    || chars.next().is_some() && is_match(pattern, chars.as_str())
            }
            Some(wanted) => chars.next() == Some(wanted) && is_match(rest.as_str(), chars.as_str()),
        }
    }

    proptest! {
        #[test]
        fn a_match_is_what_the_definition_says(pattern in "[ab/*é]{0,8}", text in "[ab/é]{0,10}") {
            prop_assert_eq!(Pattern::new(&*pattern).matches(&text), is_match(&pattern, &text));
        }

        #[test]
        fn what_a_pattern_was_made_of_fits(parts in proptest::collection::vec("[ab/]{0,3}", 1..5), between in "[ab/]{0,4}") {
            let pattern = Pattern::new(parts.join("*"));
            prop_assert!(pattern.matches(&parts.join(&between)), "{}", pattern);
        }

        #[test]
        fn a_text_without_a_star_fits_itself_only(text in "[ab/]{0,6}", other in "[ab/]{0,6}") {
            let pattern = Pattern::new(&*text);
            prop_assert_eq!(pattern.matches(&other), text == other);
            prop_assert_eq!(pattern.literal(), Some(&*text));
        }
    }

    #[test]
    fn a_hostile_pattern_takes_no_longer() {
        let pattern = Pattern::new("a*".repeat(5_000) + "b");
        assert!(!pattern.matches(&"a".repeat(20_000)));
    }
}
