//! What failed lies in the queue, and is indexed once somebody has removed the cause and turned the redrive on.

use local_cloud::iam::Lasts;

use crate::{
    deployment::Repository,
    indexes::{Indexes, properties},
    shared::story,
};

const FAILING: &str = "ecr:PutImage";

#[test]
fn a_failed_image_waits_in_the_queue_until_it_is_redriven() {
    story(async |shared| {
        let repository = Repository::new(shared, "redriven").await;
        let indexes = Indexes::deploy(shared, "Redriven", properties(&["redriven"])).await;
        let role = indexes.role().await;
        let iam = shared.cloud.cloud().iam();
        iam.withhold(&role, FAILING, Lasts::UntilLifted);
        let digests = [
            repository.push("v1", &[240]).await,
            repository.push("v2", &[241]).await,
        ];
        let mut failed = indexes.failed(2).await;
        failed.sort_by_key(|record| record["requestPayload"]["detail"]["image-tag"].to_string());
        for (record, digest) in failed.iter().zip(&digests) {
            assert_eq!(record["requestPayload"]["detail"]["image-digest"], *digest);
            assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
            let why = record["responsePayload"]["errorMessage"].as_str().unwrap();
            assert!(why.contains("redriven:v") && why.contains(FAILING), "{why}");
        }
        assert_eq!(
            indexes.record_of("redriven", "v1").await.outcome(),
            "failed"
        );
        assert_eq!(repository.tags(), ["v1", "v2"]);

        // One is replaced meanwhile: its own push brings the index, and the old event comes to nothing.
        iam.lift(FAILING);
        repository.push("v2", &[242]).await;
        indexes.records_of("redriven", "v2", 2).await;
        indexes.redrive().await;
        assert_eq!(repository.tags(), ["v1", "v1-soci", "v2", "v2-soci"]);
        let outcomes = async |tag| {
            let records = indexes.records_of("redriven", tag, 2).await;
            let outcomes = records.iter().map(|record| record.outcome().to_owned());
            outcomes.collect::<Vec<_>>()
        };
        assert_eq!(outcomes("v1").await, ["failed", "indexed"]);
        assert_eq!(outcomes("v2").await, ["failed", "indexed", "skipped"]);
    });
}
