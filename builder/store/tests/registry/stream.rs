//! Layers as streams over connections that break.

use std::time::Duration;

use bytes::Bytes;
use soci_format::{digest::Digest, oci::Descriptor};
use soci_store::registry::{BlobStream, Client, Environment, Error};
use soci_testing::fake_registry::{
    Access, FakeRegistry, Fault, Login, QUERY_SECRET, Route, Settings,
};

use crate::{app, impatient, noise, told};

const SIZE: usize = 200_000;

struct Layer {
    registry: FakeRegistry,
    bytes: Vec<u8>,
}

impl Layer {
    fn on(registry: FakeRegistry) -> Self {
        let bytes = noise(SIZE);
        registry.put_blob(bytes.clone());
        Self { registry, bytes }
    }

    fn stream(&self) -> BlobStream {
        app(&self.registry).blob_stream(&Descriptor::of("", &self.bytes))
    }

    /// Where the requests for the blob started.
    fn ranges(&self) -> Vec<Option<String>> {
        let requests = self.registry.requests_to(Route::ReadBlob);
        let range = |range: &str| range.to_owned();
        requests
            .iter()
            .map(|request| request.header("range").map(range))
            .collect()
    }
}

async fn read(mut stream: BlobStream) -> Result<(Vec<u8>, u64), Error> {
    let mut bytes = Vec::new();
    while let Some(chunk) = stream.next().await? {
        assert!(!chunk.is_empty());
        bytes.extend_from_slice(&chunk);
    }
    assert!(stream.next().await?.is_none());
    Ok((bytes, stream.bytes_read()))
}

#[tokio::test]
async fn a_layer_comes_in_pieces() {
    let layer = Layer::on(FakeRegistry::start());
    // On a task of its own, as layers are read side by side.
    let task = tokio::spawn(read(layer.stream()));
    let (bytes, bytes_read) = task.await.unwrap().unwrap();
    assert!(bytes == layer.bytes);
    assert_eq!(bytes_read, SIZE as u64);
    assert_eq!(layer.ranges(), [None]);
    let empty = app(&layer.registry).blob_stream(&Descriptor::of("", b""));
    layer.registry.put_blob(Bytes::new());
    assert_eq!(read(empty).await.unwrap(), (Vec::new(), 0));
}

#[tokio::test]
async fn a_broken_stream_goes_on_where_it_broke() {
    let layer = Layer::on(FakeRegistry::start());
    layer
        .registry
        .fail(Route::ReadBlob, Fault::Cut { after: 4_096 });
    layer
        .registry
        .fail(Route::ReadBlob, Fault::Cut { after: 0 });
    layer
        .registry
        .fail(Route::ReadBlob, Fault::Cut { after: 50_000 });
    let (bytes, bytes_read) = read(layer.stream()).await.unwrap();
    assert!(bytes == layer.bytes);
    assert_eq!(bytes_read, SIZE as u64);
    let at = |at: u32| Some(format!("bytes={at}-"));
    assert_eq!(layer.ranges(), [None, at(4_096), at(4_096), at(54_096)]);
}

#[tokio::test]
async fn a_stream_that_keeps_breaking_is_given_up() {
    let layer = Layer::on(FakeRegistry::start());
    layer
        .registry
        .fail(Route::ReadBlob, Fault::Cut { after: 100 })
        .always();
    let error = told(&read(layer.stream()).await.unwrap_err());
    assert!(
        error.contains("connection lost at byte 600, after resuming 5 times"),
        "{error}"
    );
    assert_eq!(layer.ranges().len(), 6);
}

#[tokio::test]
async fn breaks_with_much_in_between_are_no_reason_to_give_up() {
    const GOOD: usize = 16 << 20;
    let registry = FakeRegistry::start();
    // Its last connection gives it to the end.
    let bytes = vec![7; 6 * GOOD + 1];
    registry.put_blob(bytes.clone());
    let layer = Layer { registry, bytes };
    layer
        .registry
        .fail(Route::ReadBlob, Fault::Cut { after: GOOD })
        .times(6);
    let (read, _) = read(layer.stream()).await.unwrap();
    assert!(read == layer.bytes);
    assert_eq!(layer.ranges().len(), 7);
}

/// Reads a layer whose first answer goes wrong, with that patience: it is whole after one resumption.
async fn is_resumed(fault: Fault, idle_timeout: Duration) {
    let layer = Layer::on(FakeRegistry::start());
    layer.registry.fail(Route::ReadBlob, fault);
    let mut options = impatient();
    options.retry.idle_timeout = idle_timeout;
    let stream = Client::with_environment(options, Environment::default())
        .repository(&layer.registry.host(), "team/app")
        .unwrap()
        .blob_stream(&Descriptor::of("", &layer.bytes));
    assert!(read(stream).await.unwrap().0 == layer.bytes);
    assert_eq!(layer.ranges().len(), 2);
}

#[tokio::test]
async fn a_silent_stream_counts_as_broken() {
    let silence = Fault::Silence { after: 10_000 };
    is_resumed(silence, Duration::from_millis(200)).await;
}

/// It is never silent for long, and would take an hour.
#[tokio::test]
async fn a_stream_that_drips_counts_as_broken() {
    let drip = Fault::Drip { after: 10_000 };
    is_resumed(drip, Duration::from_millis(500)).await;
}

#[tokio::test]
async fn a_registry_without_ranges_sends_the_beginning_twice() {
    let layer = Layer::on(FakeRegistry::start());
    layer
        .registry
        .fail(Route::ReadBlob, Fault::Cut { after: 30_000 });
    layer.registry.fail(Route::ReadBlob, Fault::IgnoreRange);
    let (bytes, bytes_read) = read(layer.stream()).await.unwrap();
    assert!(bytes == layer.bytes);
    assert_eq!(bytes_read, SIZE as u64 + 30_000);
}

#[tokio::test]
async fn a_wrong_range_is_refused() {
    for range in [
        "bytes 0-199999/200000",
        "bytes 30000-199999/999999",
        "bytes 30000-40000/200000",
        "items",
    ] {
        let layer = Layer::on(FakeRegistry::start());
        layer
            .registry
            .fail(Route::ReadBlob, Fault::Cut { after: 30_000 });
        layer.registry.fail(
            Route::ReadBlob,
            Fault::Header("content-range", range.to_owned()),
        );
        let error = told(&read(layer.stream()).await.unwrap_err());
        let expected =
            format!("answered with range \"{range}\", expected \"bytes 30000-199999/200000\"");
        assert!(error.contains(&expected), "{error}");
    }
}

#[tokio::test]
async fn a_registry_that_refuses_ranges_sends_the_beginning_twice() {
    let layer = Layer::on(FakeRegistry::start());
    layer
        .registry
        .fail(Route::ReadBlob, Fault::Cut { after: 30_000 });
    layer
        .registry
        .fail(Route::ReadBlob, Fault::status(416, "RANGE_INVALID"));
    let (bytes, bytes_read) = read(layer.stream()).await.unwrap();
    assert!(bytes == layer.bytes);
    assert_eq!(bytes_read, SIZE as u64 + 30_000);
    assert_eq!(
        layer.ranges(),
        [None, Some("bytes=30000-".to_owned()), None]
    );
}

#[tokio::test]
async fn more_or_fewer_bytes_are_refused() {
    for (length, announced) in [
        (SIZE - 1, true),
        (SIZE - 1, false),
        (SIZE + 1, true),
        (SIZE + 1, false),
    ] {
        let layer = Layer::on(FakeRegistry::start());
        let bytes = Bytes::from(vec![0; length]);
        layer
            .registry
            .fail(Route::ReadBlob, Fault::Body { bytes, announced });
        let error = told(&read(layer.stream()).await.unwrap_err());
        let expected = format!("received {length} bytes, expected {SIZE}");
        assert!(error.ends_with(&expected), "{error}");
    }
}

fn redirecting() -> FakeRegistry {
    FakeRegistry::with(Settings {
        redirect_blobs: true,
        ..Settings::default()
    })
}

#[tokio::test]
async fn the_storage_never_sees_our_token() {
    let layer = Layer::on(redirecting().guarded(Access::Bearer(Login::Anonymous)));
    layer
        .registry
        .fail(Route::Storage, Fault::Cut { after: 9_000 });
    assert!(read(layer.stream()).await.unwrap().0 == layer.bytes);
    let stored = layer.registry.requests_to(Route::Storage);
    assert_eq!(stored.len(), 2);
    for request in &stored {
        assert_eq!(request.header("authorization"), None);
        assert!(request.query.starts_with(QUERY_SECRET));
    }
    assert_eq!(stored[1].header("range"), Some("bytes=9000-"));
}

#[tokio::test]
async fn an_expired_address_is_asked_for_again() {
    let layer = Layer::on(redirecting());
    layer
        .registry
        .fail(Route::Storage, Fault::Cut { after: 9_000 });
    layer
        .registry
        .fail(Route::Storage, Fault::status(403, "AccessDenied"));
    assert!(read(layer.stream()).await.unwrap().0 == layer.bytes);
    let queries: Vec<_> = layer.registry.requests_to(Route::Storage);
    assert_eq!(queries.len(), 3);
    assert_ne!(queries[1].query, queries[2].query);
}

#[tokio::test]
async fn a_storage_that_keeps_refusing_is_named_without_its_secret() {
    let layer = Layer::on(redirecting());
    layer
        .registry
        .fail(Route::Storage, Fault::status(403, "AccessDenied"))
        .always();
    let error = read(layer.stream()).await.unwrap_err();
    assert!(error.is_denied());
    let error = told(&error);
    let blob = Digest::of(&layer.bytes);
    let asked = format!("GET {}/v2/team/app/blobs/{blob}", layer.registry.host());
    let words = format!("{asked}, sent on to {}: 403", layer.registry.storage());
    assert!(error.contains(&words), "{error}");
    assert!(error.contains("403 AccessDenied"), "{error}");
    assert_eq!(layer.registry.requests_to(Route::Storage).len(), 2);
}

#[tokio::test]
async fn a_break_at_the_storage_shows_no_secret() {
    let layer = Layer::on(redirecting());
    layer
        .registry
        .fail(Route::Storage, Fault::Cut { after: 10 })
        .always();
    let error = told(&read(layer.stream()).await.unwrap_err());
    assert!(error.contains("connection lost at byte 60"), "{error}");
}

#[tokio::test]
async fn a_token_that_ends_in_the_middle_is_renewed() {
    let layer = Layer::on(FakeRegistry::start().guarded(Access::Bearer(Login::Anonymous)));
    let app = app(&layer.registry);
    let descriptor = Descriptor::of("", &layer.bytes);
    app.blob_size(&descriptor.digest).await.unwrap();
    layer
        .registry
        .fail(Route::ReadBlob, Fault::Cut { after: 9_000 });
    layer.registry.fail(Route::ReadBlob, Fault::ExpireTokens);
    assert!(read(app.blob_stream(&descriptor)).await.unwrap().0 == layer.bytes);
    assert_eq!(layer.registry.requests_to(Route::Token).len(), 2);
    assert_eq!(layer.registry.served(&descriptor.digest), SIZE as u64);
}

#[tokio::test]
async fn a_redirect_leads_to_https_and_ends() {
    for (location, words) in [
        (
            "http://storage.example/blob",
            "the registry redirects to a URL without HTTPS; --plain-http allows that",
        ),
        (
            "file:///etc/passwd",
            "the registry redirects to a URL without HTTPS; --plain-http allows that",
        ),
        ("?again", "redirected more than 5 times"),
    ] {
        let layer = Layer::on(redirecting());
        layer
            .registry
            .fail(
                Route::ReadBlob,
                Fault::Header("location", location.to_owned()),
            )
            .always();
        let error = told(&read(layer.stream()).await.unwrap_err());
        assert!(error.ends_with(words), "{error}");
        assert!(layer.registry.requests_to(Route::ReadBlob).len() <= 6);
    }
}
