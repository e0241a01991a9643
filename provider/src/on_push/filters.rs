//! Filters: which images are indexed. In: `repository` or `repository:tag`, with `*`. Out: whether an image fits any of them.

use std::{collections::BTreeSet, str::FromStr};

use super::pattern::Pattern;

/// Some filters; an image has to fit one of them.
#[derive(Clone, Debug)]
pub struct Filters(Vec<Filter>);

#[derive(Clone, Debug)]
struct Filter {
    repository: Pattern,
    /// Any tag where it is not given.
    tag: Option<Pattern>,
}

/// A text that is no filter.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected REPOSITORY or REPOSITORY:TAG, with * for any number of characters: a repository has lower-case letters, digits and -._/, \
     a tag letters, digits and -._"
)]
pub struct InvalidFilter;

impl Filters {
    /// Parses each of `texts`.
    ///
    /// # Errors
    /// The first that is no filter.
    pub fn parse<'a>(
        texts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, (&'a str, InvalidFilter)> {
        let filter = |text: &'a str| text.parse().map_err(|invalid| (text, invalid));
        texts
            .into_iter()
            .map(filter)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether an image fits.
    #[must_use]
    pub fn matches(&self, repository: &str, tag: &str) -> bool {
        self.0.iter().any(|filter| {
            let tag_matches = |pattern: &Pattern| pattern.matches(tag);
            filter.repository.matches(repository) && filter.tag.as_ref().is_none_or(tag_matches)
        })
    }

    /// Whether an image of this repository can fit.
    #[must_use]
    pub fn matches_repository(&self, repository: &str) -> bool {
        let mut filters = self.0.iter();
        filters.any(|filter| filter.repository.matches(repository))
    }

    /// The names of all repositories whose images can fit, if no filter has a `*` in place of some of them.
    #[must_use]
    pub fn repositories(&self) -> Option<BTreeSet<&str>> {
        let filters = self.0.iter();
        filters.map(|filter| filter.repository.literal()).collect()
    }
}

impl FromStr for Filter {
    type Err = InvalidFilter;

    fn from_str(text: &str) -> Result<Self, InvalidFilter> {
        let (repository, tag) = match text.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag)),
            None => (text, None),
        };
        let has_only = |text: &str, is_allowed: fn(char) -> bool| {
            !text.is_empty() && text.chars().all(|c| is_allowed(c) || "-._*".contains(c))
        };
        let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '/';
        if !has_only(repository, is_name)
            || tag.is_some_and(|tag| !has_only(tag, |c| c.is_ascii_alphanumeric()))
        {
            return Err(InvalidFilter);
        }
        Ok(Self {
            repository: Pattern::new(repository),
            tag: tag.map(Pattern::new),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(filters: &[&str], repository: &str, tag: &str) -> bool {
        let filters = Filters::parse(filters.iter().copied()).unwrap();
        let fits = filters.matches(repository, tag);
        assert!(!fits || filters.matches_repository(repository));
        fits
    }

    #[test]
    fn an_image_fits_by_repository_and_tag() {
        for (filters, repository, tag, expected) in [
            (&["app"][..], "app", "v1", true),
            (&["app"], "app2", "v1", false),
            (&["app:latest"], "app", "latest", true),
            (&["app:latest"], "app", "v1", false),
            (&["team/*:v*"], "team/a/b", "v1", true),
            (&["team/*:v*"], "team/a", "dev", false),
            (&["*:*"], "a/b", "c", true),
            (&["app:latest", "app:v*"], "app", "v2", true),
            (&["*-prod"], "app-prod", "x", true),
            // Repositories have no upper-case letters, tags do.
            (&["app:V*"], "app", "V1", true),
            (&["app:V*"], "app", "v1", false),
        ] {
            assert_eq!(
                fits(filters, repository, tag),
                expected,
                "{filters:?} {repository}:{tag}"
            );
        }
    }

    #[test]
    fn without_patterns_the_repositories_are_known() {
        let repositories = |filters: &[&'static str]| {
            let filters = Filters::parse(filters.iter().copied()).unwrap();
            let names = filters.repositories()?;
            Some(names.into_iter().map(str::to_owned).collect::<Vec<_>>())
        };
        let names = ["app", "team/b"].map(str::to_owned).to_vec();
        assert_eq!(
            repositories(&["team/b", "app:v*", "app:latest"]),
            Some(names)
        );
        assert_eq!(repositories(&["team/b", "a*"]), None);
    }

    #[test]
    fn other_texts_are_rejected() {
        for text in [
            "",
            ":",
            "app:",
            ":v1",
            "App",
            "a:b:c",
            "a b",
            "app@sha256:1",
            "app:v+",
            "a?",
        ] {
            let (shown, _) = Filters::parse([text]).unwrap_err();
            assert_eq!(shown, text);
        }
    }
}
