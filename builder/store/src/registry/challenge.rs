//! Challenges: which authentication a registry requires (RFC 9110, section 11).
//! In: the values of `WWW-Authenticate` headers. Out: the challenge we can meet. Pure, and public for the fuzz targets.

use std::collections::BTreeMap;

/// A kind of authentication.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Challenge {
    /// A token of the service at `realm`.
    Bearer {
        /// Address of the service.
        realm: String,
        /// What the service calls the registry.
        service: Option<String>,
        /// What the token must allow.
        scope: Option<String>,
    },
    /// User and password.
    Basic,
}

/// The challenge to meet: tokens before passwords, as they go to fewer places.
pub fn choose<'a>(values: impl IntoIterator<Item = &'a [u8]>) -> Option<Challenge> {
    let mut basic = None;
    for value in values {
        for (scheme, mut parameters) in parse(&String::from_utf8_lossy(value)) {
            match scheme.as_str() {
                "bearer" => {
                    if let Some(realm) = parameters.remove("realm") {
                        return Some(Challenge::Bearer {
                            realm,
                            service: parameters.remove("service"),
                            scope: parameters.remove("scope"),
                        });
                    }
                }
                "basic" => basic = Some(Challenge::Basic),
                _ => {}
            }
        }
    }
    basic
}

/// Schemes and their parameters; both are case-insensitive, here lower-case. What cannot be read is passed over.
fn parse(mut text: &str) -> Vec<(String, BTreeMap<String, String>)> {
    let mut challenges: Vec<(String, BTreeMap<String, String>)> = Vec::new();
    loop {
        text = text.trim_start_matches([' ', '\t', ',']);
        let word_end = text.find([' ', '\t', ',', '=', '"']).unwrap_or(text.len());
        let word = text[..word_end].to_ascii_lowercase();
        let rest = text[word_end..].trim_start_matches([' ', '\t']);
        match rest.strip_prefix('=') {
            Some(value) if !word.is_empty() => {
                let (value, after) = read_value(value.trim_start_matches([' ', '\t']));
                if let Some((_, parameters)) = challenges.last_mut() {
                    parameters.insert(word, value);
                }
                text = after;
            }
            _ if word.is_empty() => match text.chars().next() {
                Some(stray) => text = &text[stray.len_utf8()..],
                None => return challenges,
            },
            _ => {
                challenges.push((word, BTreeMap::new()));
                text = rest;
            }
        }
    }
}

/// A token or a quoted string, and what follows it.
fn read_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return (value, &quoted[at + 1..]),
            '\\' => value.extend(characters.next().map(|(_, escaped)| escaped)),
            other => value.push(other),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(values: &[&str]) -> Option<Challenge> {
        choose(values.iter().map(|value| value.as_bytes()))
    }

    fn bearer(realm: &str, service: Option<&str>, scope: Option<&str>) -> Option<Challenge> {
        Some(Challenge::Bearer {
            realm: realm.to_owned(),
            service: service.map(str::to_owned),
            scope: scope.map(str::to_owned),
        })
    }

    #[test]
    fn registries_write_them_in_many_ways() {
        let hub = r#"Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:a/b:pull,push""#;
        let full = bearer(
            "https://auth.docker.io/token",
            Some("registry.docker.io"),
            Some("repository:a/b:pull,push"),
        );
        assert_eq!(chosen(&[hub]), full);
        assert_eq!(chosen(&["Basic realm=\"x\"", hub]), full);
        assert_eq!(chosen(&[&format!("Basic realm=\"a, b\", {hub}")]), full);
        assert_eq!(
            chosen(&["bearer REALM = https://t.example/"]),
            bearer("https://t.example/", None, None)
        );
        assert_eq!(
            chosen(&[r#"Bearer realm="a\"b""#]),
            bearer("a\"b", None, None)
        );
        assert_eq!(
            chosen(&[r#"Basic realm="https://1.dkr.ecr.example/",service="ecr.amazonaws.com""#]),
            Some(Challenge::Basic)
        );
        assert_eq!(chosen(&["BASIC"]), Some(Challenge::Basic));
    }

    #[test]
    fn what_we_cannot_meet_is_passed_over() {
        assert_eq!(
            chosen(&["Negotiate", "Digest realm=\"x\", nonce=\"y\""]),
            None
        );
        assert_eq!(chosen(&["Bearer service=\"x\""]), None);
        assert_eq!(chosen(&["=\"", ",,==,\"\"\" a", ""]), None);
        assert_eq!(chosen(&[]), None);
    }
}
