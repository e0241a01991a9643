//! Five hundred pushes at once, of all kinds: every one is accounted for, and nothing is done twice.

use std::collections::{BTreeMap, BTreeSet};

use futures_util::{StreamExt, stream};
use local_cloud::image::{Image, Layer, Types};
use serde_json::json;

use crate::{
    deployment::Repository,
    indexes::{Indexes, Record},
    shared::{PACE, story_apart},
};

const BROKEN: u64 = 20;
const TAGS_OF_ONE: u64 = 50;
const MOVED: u64 = 30;
const PLAIN: u64 = 370;
/// More than are indexed at once, so that the function is throttled.
const PUSHES_AT_ONCE: usize = 16;
const INDEXED_AT_ONCE: u32 = 3;
const TRIES: usize = 2;

fn image(seed: u64) -> Image {
    Image::of(Types::Oci, &[Layer::noise(seed, 1_000)])
}

/// Repository, tag and digest.
type Name = (String, String, String);

fn name_of(record: &Record) -> Name {
    let text = |field| record.text(field).to_owned();
    (text("Repository"), text("Tag"), text("Digest"))
}

#[test]
fn five_hundred_pushes_are_all_accounted_for() {
    story_apart(PACE, async |shared| {
        let repository = Repository::new(shared, "burst/app").await;
        let properties = json!({
            "filters": ["burst/*:*.0"], "minLayerSize": 0, "maxConcurrency": INDEXED_AT_ONCE, "retryAttempts": TRIES - 1,
        });
        let indexes = Indexes::deploy(shared, "Burst", properties).await;

        let moved =
            |from: u64| (0..MOVED).map(move |at| (format!("moved-{at}.0"), image(from + at)));
        let mut pushes: Vec<(String, Image)> = moved(10_000).collect();
        pushes.extend((0..PLAIN).map(|at| (format!("plain-{at}.0"), image(20_000 + at))));
        pushes.extend((0..TAGS_OF_ONE).map(|at| (format!("one-{at}.0"), image(30_000))));
        pushes.extend((0..BROKEN).map(|at| (format!("broken-{at}.0"), broken(40_000 + at))));
        fastrand::Rng::with_seed(18).shuffle(&mut pushes);
        pushes.extend(moved(50_000));
        assert_eq!(pushes.len(), 500);

        let pushed: Vec<Name> = stream::iter(&pushes)
            .map(async |(tag, image)| {
                let digest = repository.push_image(tag, image).await;
                (repository.name.clone(), tag.clone(), digest)
            })
            .buffered(PUSHES_AT_ONCE)
            .collect()
            .await;
        let pushed: BTreeSet<Name> = pushed.into_iter().collect();
        assert_eq!(pushed.len(), 500);

        let failed = indexes.failed(usize::try_from(BROKEN).unwrap()).await;
        let all_recorded = async || {
            let records = indexes.records().await;
            let names: BTreeSet<Name> = records.iter().map(name_of).collect();
            pushed.is_subset(&names).then_some(records)
        };
        let records = indexes.once("record of each image", all_recorded).await;
        let mut by_name: BTreeMap<Name, Vec<&Record>> = BTreeMap::new();
        for record in &records {
            by_name.entry(name_of(record)).or_default().push(record);
        }

        let tags = shared.cloud.cloud().ecr().tags(&repository.name);
        let mut first_index_of_one: Option<f64> = None;
        for name in &pushed {
            let (_, tag, digest) = name;
            let own = &by_name[name];
            let outcomes: Vec<_> = own.iter().map(|record| record.outcome()).collect();
            let is_current = tags[tag] == *digest;
            let output = tags.get(&format!("{tag}-soci"));
            match tag.split_once('-').unwrap().0 {
                "broken" => {
                    assert_eq!(outcomes, ["failed"; TRIES], "{tag}");
                    assert_eq!(output, None, "{tag}");
                    let in_queue = failed
                        .iter()
                        .filter(|one| one["requestPayload"]["detail"]["image-digest"] == **digest);
                    assert_eq!(in_queue.count(), 1, "{tag}");
                }
                "moved" if !is_current => {
                    // In time, or too late.
                    let known = ["indexed", "skipped"];
                    assert!(
                        outcomes.iter().all(|one| known.contains(one)),
                        "{tag}: {outcomes:?}"
                    );
                }
                _ => {
                    assert!(is_current && output.is_some(), "{tag}");
                    assert!(outcomes.contains(&"indexed"), "{tag}: {outcomes:?}");
                    // The newest digest of the tag is what the output tag names.
                    let of_output = own.iter().any(|record| {
                        Some(record.text("OutputDigest")) == output.map(String::as_str)
                    });
                    assert!(of_output, "{tag}: {own:?}");
                }
            }
            // Nothing is built again that was there when the invocation began.
            let built: Vec<_> = own
                .iter()
                .filter(|one| one.outcome() == "indexed")
                .map(|one| one.span())
                .collect();
            for (at, (began, _)) in built.iter().enumerate() {
                let before = built.iter().enumerate().filter(|(other, _)| *other != at);
                assert!(
                    before.clone().all(|(_, (_, ended))| ended >= began),
                    "{tag}: {own:?}"
                );
            }
            if tag.starts_with("one-") {
                let ended = built
                    .iter()
                    .map(|(_, ended)| *ended)
                    .fold(f64::MAX, f64::min);
                first_index_of_one = Some(first_index_of_one.unwrap_or(f64::MAX).min(ended));
            }
        }
        // Nor is a layer read again that the index of another tag covers.
        let of_one = records
            .iter()
            .filter(|record| record.text("Tag").starts_with("one-"));
        let later = of_one.filter(|record| record.span().0 > first_index_of_one.unwrap());
        let reread: Vec<_> = later
            .filter(|record| record.0["LayersIndexed"] != 0)
            .collect();
        assert!(reread.is_empty(), "{reread:#?}");
        assert_eq!(failed.len() as u64, BROKEN);
        assert_eq!(shared.cloud.cloud().denials(), []);
    });
}

/// An image whose layer is not as long as its manifest says.
fn broken(seed: u64) -> Image {
    let mut layer = Layer::noise(seed, 1_000);
    layer.size += 1;
    Image::of(Types::Oci, &[layer])
}
