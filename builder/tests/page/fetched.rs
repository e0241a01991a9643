//! The bytes and requests that are predicted are those that a reader then causes.

use std::{
    collections::{BTreeSet, HashMap},
    ops::Range,
};

use soci_builder::{
    reader::{Access, Outline, Reader, Span},
    start::{Fetched, Start, Traffic},
};
use soci_format::{digest::Digest, limits::Limits, oci::Reference, tar::Kind};
use soci_store::{
    registry::{Client, Options},
    store::Store,
};
use soci_testing::{
    fake_registry::{FakeRegistry, Route},
    image::{Image, Layer, gzip, noise, tar_of},
    program::indexed,
};

fn store(image: &str) -> (Store, Reference) {
    let reference = image.parse().unwrap();
    let store = Store::open(
        &reference,
        &Client::new(Options::default()),
        Limits::default(),
    )
    .unwrap();
    (store, reference)
}

async fn outline(image: &str) -> Outline {
    let (store, reference) = store(image);
    Outline::read(store, &reference, None).await.unwrap()
}

/// Four layers: compressed, plain, too small for a ztoc, and one on top that hides, replaces and links.
fn layers() -> [Layer; 4] {
    let files = |layer: u64, of: std::ops::Range<u64>, most: usize| {
        let mut random = fastrand::Rng::with_seed(layer);
        tar_of(of.map(move |number| {
            let size = random.usize(..most);
            (format!("d{}/f{number}", number % 3), noise(number, size))
        }))
    };
    let mut top = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_mode(0o644);
    for (name, size) in [("d1/.wh.f1", 0), ("d0/f3", 150_000), ("new", 90_000)] {
        header.set_entry_type(tar::EntryType::Regular);
        header.set_size(size as u64);
        let bytes = noise(99, size);
        top.append_data(&mut header, name, &bytes[..]).unwrap();
    }
    header.set_size(0);
    header.set_entry_type(tar::EntryType::Symlink);
    top.append_link(&mut header, "link", "d0/../new").unwrap();
    header.set_entry_type(tar::EntryType::Link);
    top.append_link(&mut header, "hard", "d2/f2").unwrap();
    [
        Layer::gzip(&files(1, 0..12, 150_000)),
        Layer::plain(files(2, 8..16, 90_000)),
        Layer::gzip(&files(3, 16..20, 4_000)),
        Layer::gzip(&top.into_inner().unwrap()),
    ]
}

/// What one read of blobs asked for and got.
#[derive(Default)]
struct Before {
    served: HashMap<Digest, u64>,
    requests: usize,
}

impl Before {
    fn now(registry: &FakeRegistry, blobs: &[Digest]) -> Self {
        Self {
            served: blobs
                .iter()
                .map(|blob| (*blob, registry.served(blob)))
                .collect(),
            requests: registry.requests_to(Route::ReadBlob).len(),
        }
    }

    /// The parts of `blob` that were asked for since.
    fn ranges_since(&self, registry: &FakeRegistry, blob: &Digest) -> Vec<Range<u64>> {
        let requests = &registry.requests_to(Route::ReadBlob)[self.requests..];
        let of_blob = requests
            .iter()
            .filter(|request| request.path.contains(&blob.hex()));
        of_blob
            .map(|request| {
                let range = request.header("range").unwrap();
                let (first, last) = range
                    .strip_prefix("bytes=")
                    .unwrap()
                    .split_once('-')
                    .unwrap();
                // Without a last byte it goes to the end.
                let end = last.parse().map_or(u64::MAX, |last: u64| last + 1);
                first.parse().unwrap()..end
            })
            .collect()
    }

    /// What came since, of these blobs.
    fn since(&self, registry: &FakeRegistry, blobs: &[Digest]) -> Traffic {
        let requests = &registry.requests_to(Route::ReadBlob)[self.requests..];
        let of = |request: &&_| {
            let request: &soci_testing::fake_registry::Recorded = request;
            blobs.iter().any(|blob| request.path.contains(&blob.hex()))
        };
        Traffic {
            requests: requests.iter().filter(of).count() as u64,
            bytes: blobs
                .iter()
                .map(|blob| registry.served(blob) - self.served[blob])
                .sum(),
        }
    }
}

/// The spans that were asked for, each in one range only. A range holds whole spans.
fn spans_in(ranges: &[Range<u64>], spans: &[Span]) -> BTreeSet<usize> {
    let mut found = BTreeSet::new();
    let last = spans.last().unwrap().stored.end;
    for range in ranges {
        let end = range.end.min(last);
        let starts_at = |span: &Span| span.stored.start == range.start;
        let first = spans.iter().position(starts_at).unwrap();
        let within = |span: &&Span| span.stored.end <= end;
        let count = spans[first..].iter().take_while(within).count();
        assert_eq!(spans[first + count - 1].stored.end, end, "{ranges:?}");
        for span in first..first + count {
            assert!(found.insert(span), "span {span} twice: {ranges:?}");
        }
    }
    found
}

#[tokio::test]
async fn the_spans_that_are_predicted_are_those_that_are_fetched() {
    let registry = FakeRegistry::start();
    let layers = layers();
    let image = Image::of(&layers).push(&registry, "v1");
    for version in ["v1", "v2"] {
        let flags = ["--span-size", "50000", "--min-layer-size", "20000"];
        let image = indexed(
            &image,
            &[&flags[..], &["--index-version", version]].concat(),
        );
        let outline = outline(&image).await;
        let digests = |of: fn(&Access) -> bool| {
            let layers = outline.layers.iter().filter(|layer| of(&layer.access));
            layers
                .map(|layer| layer.descriptor.digest)
                .collect::<Vec<_>>()
        };
        let by_spans = digests(|access| matches!(access, Access::Spans { .. }));
        let whole = digests(|access| matches!(access, Access::Whole { .. }));
        assert_eq!((by_spans.len(), &whole[..]), (3, &[layers[2].digest][..]));
        let ztocs = outline
            .layers
            .iter()
            .filter_map(|layer| match &layer.access {
                Access::Spans { ztoc, .. } => Some(ztoc.digest),
                Access::Whole { .. } => None,
            });
        let ztocs: Vec<_> = ztocs.collect();
        let all: Vec<_> = [&by_spans[..], &whole, &ztocs].concat();

        let root = outline.tree.find(b"/", true).unwrap();
        let paths: Vec<_> = outline
            .tree
            .all(root)
            .into_iter()
            .map(|(path, _)| path)
            .collect();
        assert!(paths.len() > 20);
        let mut random = fastrand::Rng::with_seed(7);
        let (mut spans, mut requests) = (0, 0);
        for round in 0..30 {
            let count = if round == 0 {
                0
            } else {
                random.usize(1..paths.len())
            };
            let chosen = random.choose_multiple(&paths, count);
            let start = Start::of(&outline, chosen.iter().map(|path| &path[..]));
            let before = Before::now(&registry, &all);
            let (store, reference) = store(&image);
            let reader = Reader::open(store, &reference, None).await.unwrap();
            for path in &chosen {
                let node = reader.find(path).unwrap();
                if reader.tree().inode(node).kind == Kind::Regular {
                    let file = reader.file(path).unwrap();
                    reader.contents([file]).read().await.unwrap();
                }
            }
            let since = |blobs: &[Digest]| before.since(&registry, blobs);
            for (layer, needed) in outline.layers.iter().zip(&start.spans) {
                if let Access::Spans { spans, .. } = &layer.access {
                    let ranges = before.ranges_since(&registry, &layer.descriptor.digest);
                    assert_eq!(spans_in(&ranges, spans.list()), *needed, "{chosen:?}");
                }
            }
            assert_eq!(start.lazy.ztocs, since(&ztocs));
            assert_eq!(start.lazy.layers, since(&whole));
            spans += start.lazy.spans.requests;
            requests += since(&by_spans).requests;
        }
        // Of a file in several spans, one request gets some.
        assert!(
            spans > 100 && requests < spans,
            "{requests} requests, {spans} spans"
        );
    }
}

#[tokio::test]
async fn manifests_and_a_full_pull_are_counted_once() {
    let registry = FakeRegistry::start();
    let layer = Layer::noise(1, 100_000);
    // The same layer twice: a pull fetches it once.
    let plain = Image::of([&layer, &layer]).push(&registry, "v1");
    let image = indexed(&plain, &[]);
    let size_of = |tag: &str| {
        let (digest, bytes) = registry
            .tagged(soci_testing::image::REPOSITORY, tag)
            .unwrap();
        (digest, bytes.len() as u64)
    };
    let config = |outline: &Outline| outline.image.manifest.config.size;

    let outline = outline(&image).await;
    let root = size_of("v1-soci");
    assert_eq!(outline.root.digest, root.0);
    let full = Fetched::whole(&outline);
    let manifests = root.1 + outline.image.descriptor.size + config(&outline);
    assert_eq!(
        full.manifests,
        Traffic {
            requests: 3,
            bytes: manifests
        }
    );
    let layers = Traffic {
        requests: 1,
        bytes: layer.size as u64,
    };
    assert_eq!(full.layers, layers);
    assert_eq!((full.index, full.ztocs, full.spans), Default::default());
    let start = Start::of(&outline, []);
    assert_eq!(start.lazy.ztocs.requests, 1);
    assert_eq!(
        start.lazy.index.bytes,
        outline.image.index.as_ref().unwrap().descriptor.size
    );

    // Without an index, a start is a full pull; and the reference names the manifest itself.
    let outline = self::outline(&plain).await;
    let lazy = Start::of(&outline, [&b"noise"[..]]).lazy;
    assert_eq!(lazy, Fetched::whole(&outline));
    let manifests = size_of("v1").1 + config(&outline);
    assert_eq!(
        lazy.manifests,
        Traffic {
            requests: 2,
            bytes: manifests
        }
    );
    assert_eq!(lazy.layers, layers);
}

#[tokio::test]
async fn no_span_and_no_large_layer_is_read() {
    let registry = FakeRegistry::start();
    let large = Layer {
        size: (64 << 20) + 1,
        ..Layer::gzip(&tar_of([("large", "its size is a lie")]))
    };
    let foreign = Layer::zstd();
    // It says that it is gzip, and is not.
    let wrong = Layer::of(soci_testing::image::GZIP, gzip(b"no archive"));
    let small = Layer::gzip(&tar_of([("small", "text")]));
    let first = Layer::noise(1, 200_000);
    let image = Image::of([&first]).push(&registry, "v1");
    let first_image = indexed(&image, &[]);
    let image = Image::of([&large, &foreign, &wrong, &small]).push(&registry, "v2");

    let before = registry.served(&first.digest);
    let seen = outline(&first_image).await;
    assert!(matches!(seen.layers[0].access, Access::Spans { .. }));
    assert_eq!(registry.served(&first.digest), before);

    let seen = outline(&image).await;
    let known = seen.layers.iter().map(|layer| match layer.access {
        Access::Whole { is_known } => is_known,
        Access::Spans { .. } => panic!("a ztoc from nowhere"),
    });
    assert_eq!(known.collect::<Vec<_>>(), [false, false, false, true]);
    assert_eq!(registry.served(&large.digest), 0);
    assert_eq!(registry.served(&foreign.digest), 0);
    let start = Start::of(&seen, [&b"small"[..], b"large", b"small"]);
    let found: Vec<_> = start.files.iter().map(|file| file.place.is_ok()).collect();
    assert_eq!(found, [true, false]);
}
