//! Searches output, files and requests for secrets. In: named texts. Out: the location of each secret, never the secret.

/// Marks of what may stand nowhere. Each is what the thing is called or begins with wherever it occurs.
const MARKS: [(&str, &str); 8] = [
    ("ResponseURL", "CloudFormation's URL, by its name"),
    ("cfn-response/", "the URL that the emulator waits at"),
    ("X-Amz-Signature", "a signed address"),
    ("X-Amz-Credential", "a signed address"),
    ("Signature=", "a signed request"),
    ("Bearer ", "a registry's token"),
    ("Basic ", "a password in a header"),
    ("AWS_SECRET_ACCESS_KEY", "a key, by its name"),
];

/// What was found where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The text's name.
    pub place: String,
    /// Its line, from 1 on.
    pub line: usize,
    /// What kind of secret.
    pub what: String,
}

/// Every secret in these texts: the marks, and `known` ones, each with a name (a token that was handed out).
pub fn in_texts<'a>(
    texts: impl IntoIterator<Item = (&'a str, &'a str)>,
    known: &[(String, String)],
) -> Vec<Finding> {
    let mut found = Vec::new();
    for (place, text) in texts {
        for (number, line) in text.lines().enumerate() {
            let marks = MARKS.iter().filter(|(mark, _)| line.contains(mark));
            let marks = marks.map(|(_, what)| (*what).to_owned());
            let known = known
                .iter()
                .filter(|(_, secret)| line.contains(secret.as_str()));
            let known = known.map(|(name, _)| name.clone());
            found.extend(marks.chain(known).map(|what| Finding {
                place: place.to_owned(),
                line: number + 1,
                what,
            }));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_and_a_known_secret_are_found_where_they_stand() {
        let token = [(
            "the registry's token".to_owned(),
            "QVdTOnNlY3JldA".to_owned(),
        )];
        let log = "all well\nPUT /_ministack/cfn-response/1b2c\n";
        let found = in_texts(
            [("log", log), ("build", "password QVdTOnNlY3JldA==")],
            &token,
        );
        let places: Vec<_> = found
            .iter()
            .map(|one| (&*one.place, one.line, &*one.what))
            .collect();
        let url = ("log", 2, "the URL that the emulator waits at");
        assert_eq!(places, [url, ("build", 1, "the registry's token")]);
    }

    #[test]
    fn a_clean_text_has_none() {
        assert_eq!(in_texts([("log", "Signed in.\nindexed 3 layers")], &[]), []);
    }
}
