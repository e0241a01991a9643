//! What registries answer: challenges, links and error bodies.

use soci_store::registry::{
    challenge::{self, Challenge},
    error_body::{MESSAGE_MAX, parse_error_body},
    link::next_page,
};

/// Header values, one a line, and the whole as an error body. What is taken over was there, and what is shown is one short
/// line.
pub(crate) fn registry(bytes: &[u8]) {
    let values = || bytes.split(|&byte| byte == b'\n');
    match challenge::choose(values()) {
        Some(Challenge::Bearer {
            realm,
            service,
            scope,
        }) => {
            let text = String::from_utf8_lossy(bytes).replace('\\', "");
            for value in [Some(realm), service, scope].into_iter().flatten() {
                assert!(text.contains(&value.replace('\\', "")), "{value:?}");
            }
        }
        Some(Challenge::Basic) => {
            assert!(
                bytes
                    .to_ascii_lowercase()
                    .windows(5)
                    .any(|at| at == b"basic")
            );
        }
        None => {}
    }
    if let Some(next) = next_page(values()) {
        let text = String::from_utf8_lossy(bytes);
        assert!(text.contains(&next) && !next.contains('>'), "{next:?}");
    }
    let (code, message) = parse_error_body(bytes);
    for line in [code, message] {
        assert!(!line.contains(char::is_control), "{line:?}");
        assert!(line.chars().count() <= MESSAGE_MAX + 1, "{line:?}");
    }
}
