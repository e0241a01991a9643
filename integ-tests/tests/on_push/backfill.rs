//! Images that were there before are indexed on demand.

use serde_json::json;

use crate::{
    deployment::Repository,
    indexes::{Indexes, properties},
    shared::story,
};

#[test]
fn a_backfill_indexes_what_was_there_before() {
    story(async |shared| {
        let names = ["backfill/a", "backfill/b", "backfill-other"];
        let [a, b, other] = names.map(|name| Repository::new(shared, name));
        let (a, b, other) = tokio::join!(a, b, other);
        for (seed, repository) in [(250, &a), (260, &b), (270, &other)] {
            for (number, tag) in (0..).zip(["v1", "v2", "dev"]) {
                repository.push(tag, &[seed + number]).await;
            }
        }
        let filters = ["backfill/*"];
        let indexes = Indexes::deploy(shared, "Backfill", properties(&filters)).await;
        // Nothing was pushed since.
        assert_eq!(indexes.records().await.len(), 0);

        let plan = json!({"backfill": {"repository": "backfill/*", "tags": "v*", "dryRun": true}});
        let summary = indexes.invoke(&plan).await.unwrap();
        assert_eq!(summary["images"], 4, "{summary}");
        assert_eq!(
            summary["wouldIndex"].as_array().unwrap().len(),
            4,
            "{summary}"
        );
        assert_eq!(a.tags(), ["dev", "v1", "v2"]);

        let newest = json!({"backfill": {"repository": "backfill/a", "newest": 1}});
        let summary = indexes.invoke(&newest).await.unwrap();
        assert_eq!(
            (&summary["images"], &summary["complete"]),
            (&1.into(), &true.into())
        );
        // That was pushed last.
        assert_eq!(
            indexes.record_of("backfill/a", "dev").await.outcome(),
            "indexed"
        );

        let all = json!({"backfill": {"repository": "*", "tags": "v*"}});
        let summary = indexes.invoke(&all).await.unwrap();
        assert_eq!(summary["images"], 4, "{summary}");
        for repository in [&a, &b] {
            for tag in ["v1", "v2"] {
                let record = indexes.record_of(&repository.name, tag).await;
                assert_eq!(record.outcome(), "indexed", "{record:?}");
            }
        }
        assert_eq!(b.tags(), ["dev", "v1", "v1-soci", "v2", "v2-soci"]);
        // No filter matches it.
        assert_eq!(other.tags(), ["dev", "v1", "v2"]);

        let again = indexes.invoke(&all).await.unwrap();
        assert_eq!(again["images"], 4, "{again}");
        let records = indexes.records_of("backfill/b", "v1", 2).await;
        assert_eq!(records[1].outcome(), "already-there", "{records:#?}");
        indexes.assert_rights_were_checked();
    });
}
