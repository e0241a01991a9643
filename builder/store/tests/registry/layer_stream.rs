//! Layers over several connections.

use std::sync::LazyLock;

use proptest::{prelude::*, test_runner::TestRunner};
use soci_format::oci::Descriptor;
use soci_store::registry::{Connections, Error, LayerStream};
use soci_testing::fake_registry::{FakeRegistry, Fault, Route};

use crate::{app, noise, told};

const SIZE: u64 = (96 << 20) + 7;

static BYTES: LazyLock<Vec<u8>> =
    LazyLock::new(|| noise(usize::try_from(SIZE).expect("it fits into memory")));

struct Layer {
    registry: FakeRegistry,
    connections: Connections,
}

impl Layer {
    fn new(connections: usize) -> Self {
        let registry = FakeRegistry::start();
        registry.put_blob(BYTES.clone());
        Self {
            registry,
            connections: Connections::new(connections),
        }
    }

    fn stream(&self) -> LayerStream {
        let descriptor = Descriptor::of("", &BYTES);
        app(&self.registry).layer_stream(&descriptor, &self.connections)
    }

    /// The ranges that were asked for, in the order of their places; the whole layer first.
    fn ranges(&self) -> Vec<Option<(u64, Option<u64>)>> {
        let requests = self.registry.requests_to(Route::ReadBlob);
        let range = |range: &str| {
            let (start, end) = range.strip_prefix("bytes=")?.split_once('-')?;
            Some((start.parse().ok()?, end.parse().ok()))
        };
        let ranges = requests
            .iter()
            .map(|request| request.header("range").and_then(range));
        let mut ranges: Vec<_> = ranges.collect();
        ranges.sort_unstable();
        ranges
    }
}

/// Reads as fast as the bytes come, so nearly all of its time is waiting. Calls `after` once, in the middle of the first connection.
async fn read(stream: &mut LayerStream, mut after: impl FnMut()) -> Result<(bool, u64), Error> {
    let mut at = 0;
    let mut is_same = true;
    while let Some(piece) = stream.next().await? {
        assert!(!piece.is_empty());
        if at == 0 {
            after();
        }
        is_same &= BYTES[at..].starts_with(&piece);
        at += piece.len();
    }
    Ok((is_same && at == BYTES.len(), stream.bytes_read()))
}

#[tokio::test]
async fn a_reader_that_waits_gets_several_connections() {
    let layer = Layer::new(8);
    let turn = layer.connections.first().await;
    let (is_same, bytes_read) = read(&mut layer.stream(), || {}).await.unwrap();
    assert!(is_same);
    assert!(bytes_read >= SIZE, "{bytes_read}");
    let ranges = layer.ranges();
    assert_eq!(ranges[0], None);
    // A trial that came too late is asked for again further on; the parts follow the last one without a gap.
    let parts: Vec<_> = ranges[1..].iter().map(|range| range.unwrap()).collect();
    let follow = |pair: &[(u64, Option<u64>)]| pair[0].1 == Some(pair[1].0 - 1);
    let gapless = parts
        .windows(2)
        .rev()
        .take_while(|pair| follow(pair))
        .count();
    assert!(gapless >= 8, "{parts:?}");
    assert_eq!(parts.last().unwrap().1.unwrap_or(SIZE - 1), SIZE - 1);
    drop(turn);
    // All are given back.
    for _ in 0..8 {
        std::mem::forget(layer.connections.another().unwrap());
    }
}

#[tokio::test]
async fn without_a_free_connection_a_layer_has_one() {
    let layer = Layer::new(1);
    let _turn = layer.connections.first().await;
    let read = read(&mut layer.stream(), || {}).await.unwrap();
    assert_eq!(read, (true, SIZE));
    assert_eq!(layer.ranges(), [None]);
}

#[tokio::test]
async fn a_registry_without_ranges_is_read_over_one_connection() {
    let layer = Layer::new(8);
    let ignore = || {
        layer
            .registry
            .fail(Route::ReadBlob, Fault::IgnoreRange)
            .always()
    };
    let read = read(&mut layer.stream(), ignore).await.unwrap();
    assert_eq!(read, (true, SIZE));
    let tried = layer.ranges().len() - 1;
    assert!(tried <= 3, "asked {tried} times");
}

#[tokio::test]
async fn parts_that_are_refused_leave_the_first_connection_alone() {
    let layer = Layer::new(8);
    let refuse = || {
        let fault = Fault::status(416, "UNKNOWN");
        layer.registry.fail(Route::ReadBlob, fault).always();
    };
    let read = read(&mut layer.stream(), refuse).await.unwrap();
    assert_eq!(read, (true, SIZE));
}

#[tokio::test]
async fn what_fails_for_good_is_the_error() {
    let layer = Layer::new(8);
    let mut stream = layer.stream();
    let mut read = 0;
    // Into the parts.
    while read < 64 << 20 {
        read += stream.next().await.unwrap().unwrap().len();
    }
    let denied = Fault::status(403, "DENIED");
    layer.registry.fail(Route::ReadBlob, denied).always();
    let error = loop {
        match stream.next().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("the layer ended"),
            Err(error) => break told(&error),
        }
    };
    assert!(error.contains("DENIED"), "{error}");
}

/// Whatever breaks off, and however often: the same bytes.
#[test]
fn any_breaks_give_the_same_bytes() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fault = prop_oneof![
        (0..3_usize << 20).prop_map(|after| Fault::Cut { after }),
        Just(Fault::IgnoreRange),
        Just(Fault::status(503, "UNKNOWN")),
        Just(Fault::status(416, "UNKNOWN")),
    ];
    let faults = prop::collection::vec((fault, 1..4_usize), 0..12);
    let mut runner = TestRunner::new(ProptestConfig::with_cases(16));
    let given = (faults, 1..9_usize);
    let outcome = runner.run(&given, |(faults, connections)| {
        let layer = Layer::new(connections);
        let fail = || {
            for (fault, times) in &faults {
                layer
                    .registry
                    .fail(Route::ReadBlob, fault.clone())
                    .times(*times);
            }
        };
        let read = runtime.block_on(read(&mut layer.stream(), fail));
        // A layer may fail, but is never another one.
        if let Ok((is_same, _)) = read {
            prop_assert!(is_same);
        }
        Ok(())
    });
    outcome.unwrap();
}
