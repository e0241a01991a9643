//! What is held of an image to read it stays within the limits that the caller set.

use soci_format::limits::Limits;
use soci_testing::image::{Image, Layer};

use crate::{indexed, open_within};

#[tokio::test]
async fn ztocs_are_held_up_to_their_limit() {
    let (first, second) = (Layer::noise(1, 100_000), Layer::noise(2, 100_000));
    let (_layout, image) = Image::of([&first, &second]).layout();
    indexed(&image, &[]);
    // With an index, and with none: ztocs that are made count alike.
    for image in [format!("{image}-soci"), image] {
        let limits = |ztocs_bytes| Limits {
            ztocs_bytes,
            ..Limits::default()
        };
        assert!(open_within(limits(70_000), &image).await.is_ok());
        let refused = open_within(limits(50_000), &image).await.err().unwrap();
        let said = refused.to_string();
        assert!(
            said.contains("take more than 50000 bytes together"),
            "{said}"
        );
    }
}

#[tokio::test]
async fn a_blob_is_held_up_to_its_limit() {
    let layer = Layer::noise(1, 100_000);
    let (_layout, image) = Image::of([&layer]).layout();
    indexed(&image, &[]);
    let limits = Limits {
        blob_bytes: 30_000,
        ..Limits::default()
    };
    let refused = open_within(limits, &format!("{image}-soci"))
        .await
        .err()
        .unwrap();
    assert!(
        refused
            .to_string()
            .contains("at most 30000 are read at once"),
        "{refused}"
    );
}
