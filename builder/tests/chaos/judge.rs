//! The judge: looks at what a run says and at the registry itself, and allows nothing but the right result or a clear error.
//! In: the plan, the journal, what the program said. Out: whether the result is there; it panics at anything else.
//!
//! Over plain HTTP two things cannot be demanded. Where the registry's answer for the image's tag was about another image, the
//! result must be right for that one. Where the proxy altered a manifest on its way to a tag, it is under that tag what the
//! proxy made of it: then the run must not be well.

use std::collections::HashMap;

use serde_json::Value;
use soci_format::digest::Digest;
use soci_testing::program::Ended;

use crate::{
    direct::Stored,
    journal::Journal,
    plan::Plan,
    stage::{Home, Right, Stage},
};

/// More tries of one request than this spoil it.
const TRIES_TO_SPARE: u32 = 5;

/// The tag that a result gets, version 2.
const OUTPUT: &str = "v1-soci";

pub(crate) struct Judge<'a> {
    pub(crate) stage: &'a Stage,
    pub(crate) plan: &'a Plan,
    pub(crate) home: &'a Home<'a>,
    pub(crate) journal: &'a Journal,
    pub(crate) image: &'a str,
}

impl Judge<'_> {
    /// Whether the run ended with its result.
    pub(crate) async fn judge(&self, ended: Ended) -> bool {
        let is_well = ended.code == Some(0);
        if is_well {
            self.check_result(&ended.json()).await;
        } else {
            self.check_error(ended);
        }
        self.check_tags().await;
        is_well
    }

    /// What may be right: the result for the image, or for another where the registry said that the tag names that one.
    fn rights(&self) -> impl Iterator<Item = &Right> {
        let misled = self.journal.entries().iter().any(|entry| {
            entry.fault.tries_spoiled().is_none() && entry.occasion.path.ends_with("/manifests/v1")
        });
        let rights = self.stage.rights(self.plan);
        rights.filter(move |right| right.tag == "v1" || misled)
    }

    async fn check_result(&self, result: &Value) {
        let right = self
            .rights()
            .find(|right| result["image_digest"] == right.image.to_string())
            .expect("the result is for an image that was asked for");
        assert_eq!(result["output_digest"], right.output.to_string());
        let direct = &self.home.direct;
        if self.plan.version == "v2" {
            assert_eq!(result["output_tag"], OUTPUT);
            let found = direct.manifest(OUTPUT).await.map(|found| found.digest());
            assert_eq!(found, Some(right.output), "under the output tag");
            return;
        }
        for (image, index) in &right.indexes {
            let referrers = direct.referrers(image).await;
            let is_it = |entry: &Value| entry["digest"] == index.to_string();
            assert!(referrers.iter().any(is_it), "{index} is no referrer");
            self.is_whole(&self.stored(index).await).await;
        }
    }

    fn check_error(&self, ended: Ended) {
        let spoiled: Option<u32> = self
            .journal
            .entries()
            .iter()
            .map(|entry| entry.fault.tries_spoiled())
            .sum();
        assert!(
            spoiled.is_none_or(|spoiled| spoiled > TRIES_TO_SPARE),
            "nothing went wrong that does not pass"
        );
        for word in ["panicked", "this is a bug"] {
            assert!(!ended.stderr.contains(word), "{word}");
        }
        ended.fails_with(&[&format!("soci-builder: cannot index {}: ", self.image)]);
    }

    /// Nothing is lost, and nothing wrong or incomplete has a tag.
    async fn check_tags(&self) {
        let before = self.stage.tags(self.plan);
        let direct = &self.home.direct;
        let mut found = HashMap::new();
        for tag in direct.tags().await {
            let stored = direct.manifest(&tag).await;
            let stored = stored.unwrap_or_else(|| panic!("under the tag {tag:?} is nothing"));
            found.insert(tag, stored);
        }
        for tag in before.keys() {
            assert!(found.contains_key(tag), "the tag {tag} is gone");
        }
        for (tag, stored) in &found {
            let digest = stored.digest();
            if before.get(tag) == Some(&digest) || self.journal.was_altered(&stored.bytes) {
                continue;
            }
            if let Some(subject) = tag.strip_prefix("sha256-") {
                self.check_list(subject, stored, before.get(tag)).await;
            } else {
                let is_right = tag == OUTPUT && self.rights().any(|right| right.output == digest);
                assert!(is_right, "the tag {tag} names {digest}");
            }
            self.is_whole(stored).await;
        }
    }

    /// A list of referrers has all that it had, and the right index at most besides.
    async fn check_list(&self, subject: &str, list: &Stored, before: Option<&Digest>) {
        let entries = |list: &Stored| list.json()["manifests"].as_array().cloned();
        let now = entries(list).expect("a list of referrers is an image index");
        let old = match before {
            Some(digest) => entries(&self.stored(digest).await).unwrap(),
            None => Vec::new(),
        };
        for entry in &old {
            assert!(
                now.contains(entry),
                "lost from the list of referrers: {entry}"
            );
        }
        for entry in now.iter().filter(|entry| !old.contains(entry)) {
            let is_right = self
                .rights()
                .flat_map(|right| &right.indexes)
                .any(|(of, index)| of.hex() == subject && entry["digest"] == index.to_string());
            assert!(is_right, "among the referrers of {subject}: {entry}");
        }
    }

    async fn stored(&self, digest: &Digest) -> Stored {
        let found = self.home.direct.manifest(&digest.to_string()).await;
        found.expect("what is named is there")
    }

    async fn is_whole(&self, root: &Stored) {
        let missing = self.home.direct.missing_below(root).await;
        assert!(missing.is_empty(), "missing: {missing:?}");
    }
}
