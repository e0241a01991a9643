//! The physical id, derived from the result, so that a repeated event gives the same id.
//! In: the result. Out: the id; on Delete, the reverse. Pure.

use std::{fmt, str::FromStr};

use soci_format::digest::Digest;

/// CloudFormation's limit.
const BYTES_MAX: usize = 1_024;

/// What a physical id names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PhysicalId {
    /// A version 2 index: a tag and the image index under it.
    V2 {
        /// The repository's name.
        repository: String,
        /// The output tag.
        tag: String,
        /// The image index.
        output: Digest,
    },
    /// Version 1 indexes of an image.
    V1 {
        /// The repository's name.
        repository: String,
        /// The image.
        image: Digest,
        /// The SOCI indexes, in the order of their platforms; those that do not fit into the id are omitted.
        indexes: Vec<Digest>,
    },
}

/// The id of a resource that was never created, or of an unknown form.
#[derive(Debug, PartialEq, Eq)]
pub struct NotOurs;

impl PhysicalId {
    /// The repository's name.
    #[must_use]
    pub fn repository(&self) -> &str {
        match self {
            Self::V2 { repository, .. } | Self::V1 { repository, .. } => repository,
        }
    }

    /// The id after a Create that failed.
    #[must_use]
    pub fn not_created(request_id: &str) -> String {
        format!("not-created/{request_id}")
    }

    /// The id to return on an Update of `old`: the new one, or the old one if both share version 1 indexes. A new id would
    /// make CloudFormation delete the old resource, and with it the indexes that both share.
    #[must_use]
    pub fn after(&self, old: &str) -> String {
        let own = self.to_string();
        match (self, old.parse()) {
            (
                Self::V1 {
                    repository,
                    indexes,
                    ..
                },
                Ok(Self::V1 {
                    repository: old_repository,
                    indexes: old_indexes,
                    ..
                }),
            ) if *repository == old_repository
                && indexes.iter().any(|index| old_indexes.contains(index)) =>
            {
                old.to_owned()
            }
            _ => own,
        }
    }
}

impl fmt::Display for PhysicalId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::V2 {
                repository,
                tag,
                output,
            } => write!(f, "{repository}:{tag}@{output}"),
            Self::V1 {
                repository,
                image,
                indexes,
            } => {
                let mut id = format!("{repository}@{image}");
                for index in indexes {
                    let more = format!("#{}", index.hex());
                    if id.len() + more.len() > BYTES_MAX {
                        break;
                    }
                    id += &more;
                }
                f.write_str(&id)
            }
        }
    }
}

impl FromStr for PhysicalId {
    type Err = NotOurs;

    fn from_str(id: &str) -> Result<Self, NotOurs> {
        let (name, rest) = id.rsplit_once('@').ok_or(NotOurs)?;
        let mut digests = rest.split('#');
        let first: Digest = digests
            .next()
            .and_then(|digest| digest.parse().ok())
            .ok_or(NotOurs)?;
        let indexes = digests.map(|hex| format!("sha256:{hex}").parse());
        let indexes: Vec<Digest> = indexes.collect::<Result<_, _>>().map_err(|_| NotOurs)?;
        match name.split_once(':') {
            _ if name.is_empty() => Err(NotOurs),
            Some((repository, tag)) if indexes.is_empty() => Ok(Self::V2 {
                repository: repository.to_owned(),
                tag: tag.to_owned(),
                output: first,
            }),
            Some(_) => Err(NotOurs),
            None => Ok(Self::V1 {
                repository: name.to_owned(),
                image: first,
                indexes,
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(of: &str) -> Digest {
        Digest::of(of.as_bytes())
    }

    fn v1(indexes: &[&str]) -> PhysicalId {
        PhysicalId::V1 {
            repository: "team/app".to_owned(),
            image: digest("image"),
            indexes: indexes.iter().map(|of| digest(of)).collect(),
        }
    }

    #[test]
    fn ids_round_trip() {
        let v2 = PhysicalId::V2 {
            repository: "team/app".to_owned(),
            tag: "v1-soci".to_owned(),
            output: digest("output"),
        };
        assert_eq!(
            v2.to_string(),
            format!("team/app:v1-soci@{}", digest("output"))
        );
        for id in [v2, v1(&[]), v1(&["a", "b"])] {
            assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn an_id_stays_within_the_limit_and_keeps_whole_digests() {
        let many: Vec<String> = (0..40).map(|at| at.to_string()).collect();
        let many: Vec<&str> = many.iter().map(String::as_str).collect();
        let id = v1(&many).to_string();
        assert!(
            id.len() <= BYTES_MAX && id.len() + 65 > BYTES_MAX,
            "{}",
            id.len()
        );
        let Ok(PhysicalId::V1 { indexes, .. }) = id.parse() else {
            panic!("{id}")
        };
        assert!(
            indexes
                .iter()
                .zip(&many)
                .all(|(index, of)| *index == digest(of))
        );
        let longest = PhysicalId::V2 {
            repository: "r".repeat(256),
            tag: "t".repeat(128),
            output: digest("output"),
        };
        assert!(longest.to_string().len() <= BYTES_MAX);
    }

    #[test]
    fn unknown_ids_are_rejected() {
        let output = digest("output");
        for id in [
            PhysicalId::not_created("5c7e5f0a-0000-4000-8000-000000000000"),
            "MyStack-Index-1ABCDEF".to_owned(),
            String::new(),
            format!("@{output}"),
            format!("app:tag@{output}#{}", output.hex()),
            format!("app@{output}#12"),
            "app:tag@sha256:12".to_owned(),
        ] {
            assert_eq!(id.parse::<PhysicalId>(), Err(NotOurs), "{id}");
        }
    }

    #[test]
    fn shared_indexes_keep_the_old_id() {
        let old = v1(&["a"]).to_string();
        assert_eq!(v1(&["a", "b"]).after(&old), old);
        assert_eq!(v1(&["c"]).after(&old), v1(&["c"]).to_string());
        assert_eq!(v1(&["a"]).after("not-created/x"), v1(&["a"]).to_string());
    }
}
