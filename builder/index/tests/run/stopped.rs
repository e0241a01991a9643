//! Runs that whoever started them does not want any more.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use soci_format::{digest::Digest, index::Version};
use soci_index::{
    progress::{BeforeTag, Progress},
    report::LayerState,
    run::{self, Request},
};
use soci_testing::{
    fake_registry::{Access, FakeRegistry, Fault, Route},
    image::{Image, Layer},
};
use tokio::time::{sleep, timeout};

use crate::patience::{client, listed, output_tag, request};

const LIMIT: Duration = Duration::from_secs(60);

/// Stops a run before its tag, and keeps what it tells of the first layer.
#[derive(Default)]
struct Stopping {
    read: Mutex<Option<Arc<AtomicU64>>>,
}

impl Progress for Stopping {
    fn layers(&self, _: &[(Digest, u64)]) {}
    fn started(&self, _: usize, bytes: Arc<AtomicU64>) {
        *self.read.lock().unwrap() = Some(bytes);
    }
    fn finished(&self, _: usize, _: &LayerState) {}
    fn warn(&self, text: &str) {
        panic!("{text}");
    }
    fn before_tag(&self) -> BeforeTag<'_> {
        Box::pin(async { Err("a newer request came".into()) })
    }
}

/// Waits for something that another thread brings about.
async fn until<T>(mut is_so: impl FnMut() -> Option<T>) -> T {
    let waited = timeout(LIMIT, async {
        loop {
            match is_so() {
                Some(found) => return found,
                None => sleep(Duration::from_millis(1)).await,
            }
        }
    });
    waited.await.expect("it never comes")
}

#[tokio::test]
async fn nothing_is_named_after_a_stop() {
    let image = Image::of([&Layer::noise(1, 90_000)]);
    // Version 1 and an image that gets no index put something, too.
    let version_1 = |request: Request| Request {
        version: Version::V1,
        ..request
    };
    let mut untouched = request("h.example/a:b").options;
    untouched.min_layer_size = 1 << 40;
    let original = |request: Request| Request {
        options: untouched.clone(),
        ..request
    };
    let kinds: [(&str, &dyn Fn(Request) -> Request); 3] = [
        ("v2", &|request| request),
        ("v1", &version_1),
        ("original", &original),
    ];
    for (kind, change) in kinds {
        let registry = FakeRegistry::start();
        let request = change(request(&image.push(&registry, "v1")));
        let pushed = registry.requests_to(Route::PushManifest).len();
        let error = run::index(&request, &client(), Arc::new(Stopping::default())).await;
        assert_eq!(
            run::chain(&error.unwrap_err()),
            "stopped before the output tag was pushed: a newer request came; existing tags were not changed",
            "{kind}"
        );
        assert_eq!(output_tag(&registry), None, "{kind}");
        let tags = registry.requests_to(Route::PushManifest);
        let named = tags[pushed..]
            .iter()
            .filter(|put| put.path.ends_with("-soci"));
        assert_eq!(named.count(), 0, "{kind}");
        if kind == "v1" {
            assert_eq!(tags.len(), pushed, "a referrer was put");
        }
    }
}

#[tokio::test]
async fn a_run_that_is_dropped_reads_no_further() {
    let layer = Layer::noise(1, 300_000);
    let registry = FakeRegistry::start();
    let request = request(&listed(&layer).push(&registry, "v1"));
    registry.fail(Route::ReadBlob, Fault::Drip { after: 1_000 });
    let progress = Arc::new(Stopping::default());
    let listener = progress.clone();
    let running = tokio::spawn(async move { run::index(&request, &client(), listener).await });
    let read = until(|| {
        let read = progress.read.lock().unwrap().clone();
        read.filter(|read| read.load(Ordering::Relaxed) >= 1_000)
    })
    .await;
    *progress.read.lock().unwrap() = None;
    running.abort();
    // The thread that reads the layer, and the task that fetches it, hold the counter.
    until(|| (Arc::strong_count(&read) == 1).then_some(())).await;
    assert!(read.load(Ordering::Relaxed) < layer.size as u64);
}

#[tokio::test]
async fn a_denial_is_told_from_other_errors() {
    let image = listed(&Layer::noise(1, 90_000));
    for (route, status, is_denied) in [
        (Route::ReadManifest, 403, true),
        (Route::ReadBlob, 403, true),
        (Route::StartUpload, 403, true),
        (Route::PushManifest, 403, true),
        (Route::PushManifest, 400, false),
        (Route::ReadManifest, 404, false),
    ] {
        let registry = FakeRegistry::start();
        let request = request(&image.push(&registry, "v1"));
        registry
            .fail(route, Fault::status(status, "DENIED"))
            .always();
        let error = run::index(&request, &client(), Arc::new(Stopping::default()))
            .await
            .unwrap_err();
        assert_eq!(error.is_access_denied(), is_denied, "{error:?}");
    }
    let registry = FakeRegistry::start();
    let request = request(&image.push(&registry, "v1"));
    registry.require(Access::Basic("user", "password"));
    let error = run::index(&request, &client(), Arc::new(Stopping::default())).await;
    assert!(error.unwrap_err().is_access_denied());
}
