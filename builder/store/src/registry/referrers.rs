//! Referrers: the manifests that name another one as their subject.
//! In: a subject. Out: descriptors of its referrers, from the registry's list or from the tag that stands in for it.

use std::collections::HashSet;

use bytes::Bytes;
use reqwest::{
    Method,
    header::{ACCEPT, HeaderValue, LINK},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use soci_format::{
    digest::Digest,
    limits::Limits,
    oci::{Descriptor, ImageIndex, Selector, media_type},
};

use super::{Repository, error::Error, link::next_page, request::Request};

/// How often the referrers tag is written before we give way to others.
const WRITES_MAX: u32 = 5;

/// Entries without a type whose manifests are asked for it; lists that leave the type out are short.
const UNTYPED_MAX: u32 = 50;

/// A page of a list. Without `manifests` it is none: an error's body is JSON too.
#[derive(Deserialize)]
struct Page {
    #[serde(rename = "mediaType")]
    media_type: Option<String>,
    manifests: Vec<Descriptor>,
}

impl Page {
    fn is_of_an_index(&self) -> bool {
        let said = self.media_type.as_deref().unwrap_or_default();
        said.is_empty() || said == media_type::OCI_INDEX
    }
}

impl Repository {
    /// The referrers of `subject` with that artifact type.
    pub async fn referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Vec<Descriptor>, Error> {
        let listed = match self.listed_referrers(subject, artifact_type).await? {
            Some(listed) => listed,
            None => self.tagged_referrers(subject).await?,
        };
        let mut found = Vec::new();
        // Registries need not filter. Two pages may overlap when the list grew between them.
        let mut seen = HashSet::new();
        let mut untyped = 0;
        for mut referrer in listed {
            if !seen.insert(referrer.digest) {
                continue;
            }
            if referrer.artifact_type.is_none() && untyped < UNTYPED_MAX {
                untyped += 1;
                referrer.artifact_type = self.artifact_type_of(&referrer.digest).await;
            }
            if referrer.artifact_type.as_deref() == Some(artifact_type) {
                found.push(referrer);
            }
        }
        Ok(found)
    }

    /// What a manifest says of its type; `None` where it cannot be read, which makes it nobody's referrer.
    async fn artifact_type_of(&self, manifest: &Digest) -> Option<String> {
        #[derive(Deserialize)]
        struct Typed {
            #[serde(rename = "artifactType")]
            artifact_type: Option<String>,
            config: Option<Descriptor>,
        }
        let fetched = self.manifest(&Selector::Digest(*manifest)).await.ok()??;
        let typed: Typed = serde_json::from_slice(&fetched.bytes).ok()?;
        let own = typed.artifact_type.filter(|own| !own.is_empty());
        own.or(typed.config.map(|config| config.media_type))
    }

    /// Adds to the referrers tag of `subject`, for registries that keep no list themselves.
    pub async fn add_referrer_by_tag(
        &self,
        subject: &Digest,
        referrer: Descriptor,
    ) -> Result<(), Error> {
        let tag = referrers_tag(subject);
        let put = self.call(Method::PUT, "manifests", &tag);
        for written in 0..=WRITES_MAX {
            let (mut seen, mut index) = self.referrers_index(&tag).await?;
            if !replace(&mut index, &referrer) {
                return Ok(());
            }
            if written == WRITES_MAX {
                break;
            }
            if written > 0 {
                // Others are writing too: let them finish.
                tokio::time::sleep(self.registry.retry.pause(written, None)).await;
                (seen, index) = self.referrers_index(&tag).await?;
                replace(&mut index, &referrer);
            }
            // All that was read is written again. Where it is not what is there, others would lose what they wrote.
            let now = match self.resolve(&tag).await {
                Err(error) if seen.is_none() && error.is_denied() => None,
                now => now?,
            };
            if now != seen {
                continue;
            }
            let bytes = Bytes::from(Value::Object(index).to_string());
            let selector = Selector::Tag(tag.clone());
            self.push_manifest(&selector, media_type::OCI_INDEX, bytes)
                .await?;
        }
        Err(Error::Contended {
            request: Request::new(&put.method, &put.url),
            subject: *subject,
            attempts: WRITES_MAX,
        })
    }

    /// The registry's own list. `None` where it keeps none: the specification's sign for that is 404, but registries and what
    /// stands before them answer with other refusals too, with web pages, and with JSON of other kinds.
    async fn listed_referrers(
        &self,
        subject: &Digest,
        artifact_type: &str,
    ) -> Result<Option<Vec<Descriptor>>, Error> {
        let mut call = self
            .call(Method::GET, "referrers", &subject.to_string())
            .with(ACCEPT, media_type::OCI_INDEX);
        call.url
            .query_pairs_mut()
            .append_pair("artifactType", artifact_type);
        let mut found = Vec::new();
        let mut room = self.limits.referrers_bytes;
        for number in 0..self.limits.referrers_pages {
            let is_first = number == 0;
            let limit = room.min(Limits::MANIFEST_BYTES);
            let (answer, bytes) = match self.registry.fetch(&call, limit).await {
                Err(error) if is_first && error.is_refusal() => return Ok(None),
                fetched => fetched?,
            };
            room -= bytes.len() as u64;
            let page: Page = match serde_json::from_slice(&bytes) {
                Err(_) if is_first => return Ok(None),
                page => page.map_err(|source| Error::Form {
                    request: answer.request.clone(),
                    source,
                })?,
            };
            if is_first && !page.is_of_an_index() {
                return Ok(None);
            }
            found.extend(page.manifests);
            let links = answer.headers().get_all(LINK);
            match next_page(links.iter().map(HeaderValue::as_bytes)) {
                Some(next) => call.url = self.registry.linked(&answer, &next)?,
                None => return Ok(Some(found)),
            }
        }
        Err(Error::InvalidResponse {
            request: Request::new(&call.method, &call.url),
            reason: format!(
                "the list of referrers has more than {} pages",
                self.limits.referrers_pages
            ),
        })
    }

    async fn tagged_referrers(&self, subject: &Digest) -> Result<Vec<Descriptor>, Error> {
        let tag = referrers_tag(subject);
        let fetched = match self.manifest(&Selector::Tag(tag.clone())).await {
            Ok(Some(fetched)) => fetched,
            Ok(None) => return Ok(Vec::new()),
            // Some registries answer so about a tag that is not there. Whoever asks has read the image itself.
            Err(error) if error.is_denied() => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let index: ImageIndex =
            serde_json::from_slice(&fetched.bytes).map_err(|source| self.no_index(&tag, source))?;
        Ok(index.manifests)
    }

    /// What is under the referrers tag: its digest, and all that others wrote there, fields unknown to us included.
    async fn referrers_index(
        &self,
        tag: &str,
    ) -> Result<(Option<Digest>, Map<String, Value>), Error> {
        let fetched = match self.manifest(&Selector::Tag(tag.to_owned())).await {
            // Some registries answer so about a tag that is not there. One that may be there must not be written over.
            Err(error) if error.is_denied() => match self.lists_tag(tag).await {
                Ok(false) => None,
                _ => return Err(error),
            },
            fetched => fetched?,
        };
        match fetched {
            Some(fetched) if fetched.descriptor.media_type == media_type::OCI_INDEX => {
                let index = serde_json::from_slice(&fetched.bytes)
                    .map_err(|source| self.no_index(tag, source))?;
                Ok((Some(fetched.descriptor.digest), index))
            }
            Some(fetched) => {
                let get = self.call(Method::GET, "manifests", tag);
                Err(Error::InvalidResponse {
                    request: Request::new(&get.method, &get.url),
                    reason: format!(
                        "the referrers tag holds {}, not an image index; it was not changed",
                        fetched.descriptor.media_type
                    ),
                })
            }
            None => Ok((
                None,
                Map::from_iter([
                    ("schemaVersion".to_owned(), json!(2)),
                    ("mediaType".to_owned(), json!(media_type::OCI_INDEX)),
                    ("manifests".to_owned(), json!([])),
                ]),
            )),
        }
    }

    /// Whether the repository's list of tags names `tag`.
    async fn lists_tag(&self, tag: &str) -> Result<bool, Error> {
        #[derive(Deserialize)]
        struct Tags {
            tags: Option<Vec<String>>,
        }
        let mut call = self.call(Method::GET, "tags", "list");
        for _ in 0..self.limits.referrers_pages {
            let (answer, bytes) = self.registry.fetch(&call, Limits::MANIFEST_BYTES).await?;
            let page: Tags = serde_json::from_slice(&bytes).map_err(|source| Error::Form {
                request: answer.request.clone(),
                source,
            })?;
            if page.tags.iter().flatten().any(|one| one == tag) {
                return Ok(true);
            }
            let links = answer.headers().get_all(LINK);
            match next_page(links.iter().map(HeaderValue::as_bytes)) {
                Some(next) => call.url = self.registry.linked(&answer, &next)?,
                None => return Ok(false),
            }
        }
        Err(Error::InvalidResponse {
            request: Request::new(&call.method, &call.url),
            reason: format!(
                "the list of tags has more than {} pages",
                self.limits.referrers_pages
            ),
        })
    }

    fn no_index(&self, tag: &str, source: serde_json::Error) -> Error {
        let get = self.call(Method::GET, "manifests", tag);
        Error::Form {
            request: Request::new(&get.method, &get.url),
            source,
        }
    }
}

/// The tag that the distribution specification gives to the referrers of a digest.
fn referrers_tag(subject: &Digest) -> String {
    format!("sha256-{}", subject.hex())
}

/// Puts `referrer` into `index`, in place of an entry with the same digest; says whether that changed anything.
fn replace(index: &mut Map<String, Value>, referrer: &Descriptor) -> bool {
    let entry = json!(referrer);
    let manifests = index.entry("manifests").or_insert_with(|| json!([]));
    if !manifests.is_array() {
        *manifests = json!([]);
    }
    let Some(entries) = manifests.as_array_mut() else {
        return false;
    };
    let same = |other: &Value| other.get("digest") == entry.get("digest");
    if entries.iter().filter(|other| same(other)).eq([&entry]) {
        return false;
    }
    entries.retain(|other| !same(other));
    entries.push(entry);
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(bytes: &[u8], artifact_type: &str) -> Descriptor {
        Descriptor {
            artifact_type: Some(artifact_type.to_owned()),
            ..Descriptor::of(media_type::OCI_MANIFEST, bytes)
        }
    }

    #[test]
    fn an_entry_replaces_its_older_self_and_nothing_else() {
        let other = json!({"digest": "sha256:other", "field": {"unknown": 1}});
        let mut index = Map::from_iter([
            ("own".to_owned(), json!("kept")),
            ("manifests".to_owned(), json!([other])),
        ]);
        assert!(replace(&mut index, &named(b"a", "old")));
        assert!(replace(&mut index, &named(b"a", "new")));
        assert!(!replace(&mut index, &named(b"a", "new")));
        assert_eq!(index["own"], "kept");
        assert_eq!(index["manifests"], json!([other, named(b"a", "new")]));
    }
}
