//! An image asset that the CLI builds and pushes, and a service that waits for its index.

use std::{fs, path::Path};

use flate2::{Compression, write::GzEncoder};

use crate::{
    deployment::{LARGE, MINIMUM, Stack, Succeeds, assert_data},
    shared::{Shared, story},
};

/// A folder with a Dockerfile of one large layer.
fn image(folder: &Path) {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut bytes = vec![0; LARGE];
    fastrand::Rng::with_seed(40).fill(&mut bytes);
    let mut header = tar::Header::new_ustar();
    header.set_size(LARGE as u64);
    header.set_mode(0o644);
    archive.append_data(&mut header, "noise", &*bytes).unwrap();
    let layer = archive.into_inner().unwrap().finish().unwrap();
    fs::write(folder.join("layer.tar.gz"), layer).unwrap();
    fs::write(
        folder.join("Dockerfile"),
        "FROM scratch\nADD layer.tar.gz /\n",
    )
    .unwrap();
}

/// When the index was complete and when the service was begun, in milliseconds.
async fn times(shared: &Shared, stack: &str) -> (i64, i64) {
    let events = shared.cloud.stacks().events(stack).await.unwrap();
    let at = |kind: &str, status: &str| {
        let found = events
            .iter()
            .position(|event| event.kind == kind && event.status == status);
        (found.unwrap(), events[found.unwrap()].at_ms)
    };
    let (complete, complete_ms) = at("Custom::SociIndexBuild", "CREATE_COMPLETE");
    let (begun, begun_ms) = at("AWS::ECS::Service", "CREATE_IN_PROGRESS");
    // The list's order and its times must say the same.
    assert_eq!(complete < begun, complete_ms <= begun_ms);
    (complete_ms, begun_ms)
}

#[test]
fn the_service_is_created_after_the_index_and_only_because_it_refers_to_it() {
    story(async |shared| {
        let folder = tempfile::tempdir_in(shared.cloud.folder()).unwrap();
        image(folder.path());
        let minimum = MINIMUM.to_string();
        let stack = |name| {
            let stack = Stack::of(shared, name, "order.js").with("minLayerSize", &minimum);
            stack.with("image", folder.path().to_str().unwrap())
        };
        let waiting = stack("Waiting");
        waiting.deploy_app().await.succeeds();
        assert_data(
            &waiting.last_answer(),
            &[("Outcome", "indexed"), ("LayersIndexed", "1")],
        );
        let (complete_ms, begun_ms) = times(shared, "Waiting").await;
        assert!(complete_ms <= begun_ms);

        let control = stack("NotWaiting").with("dependency", "false");
        control.deploy_app().await.succeeds();
        let (complete_ms, begun_ms) = times(shared, "NotWaiting").await;
        assert!(
            begun_ms < complete_ms,
            "the control shows nothing: the index came first by itself"
        );
    });
}
