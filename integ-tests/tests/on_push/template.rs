//! Without CDK: the template and the program that `make package` writes, deployed as a user does it.

use std::process::Stdio;

use bytes::Bytes;
use local_cloud::programs;
use tempfile::TempDir;

use crate::{
    deployment::{Repository, Stack},
    indexes::{Indexes, assert_only},
    shared::story,
};

/// The template and the program.
async fn package() -> (String, Bytes) {
    let folder = TempDir::new().unwrap();
    let script = programs::repository().join("cdk-construct/scripts/template");
    let made = tokio::process::Command::new(script)
        .arg(folder.path())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&made.stderr);
    assert!(made.status.success(), "{said}");
    let file = |name: &str| std::fs::read(folder.path().join(name)).unwrap();
    let template = String::from_utf8(file("soci-index-on-push.template.json")).unwrap();
    (template, file("soci-provider.zip").into())
}

#[test]
fn the_template_works_without_cdk() {
    story(async |shared| {
        let wanted = Repository::new(shared, "template/app").await;
        let other = Repository::new(shared, "template/other").await;
        let (template, program) = package().await;
        let account = shared.cloud.account();
        account
            .put_object("programs", "soci-provider-1.zip", program)
            .await
            .unwrap();
        let parameters = [
            ("Filters", "template/app:v*,template/absent"),
            ("Repositories", "template/app,template/absent"),
            ("OutputSuffix", ".indexed"),
            ("CodeBucket", "programs"),
            ("CodeKey", "soci-provider-1.zip"),
            ("MemorySize", "512"),
            ("MaxConcurrency", "2"),
            ("LogRetention", "7"),
            ("CreateDashboard", "yes"),
        ];
        let stacks = shared.cloud.stacks();
        stacks
            .create("Template", &template, &parameters)
            .await
            .unwrap();
        let events = stacks.events("Template").await.unwrap();
        let status = stacks.status("Template").await;
        assert_eq!(status.as_deref(), Some("CREATE_COMPLETE"), "{events:#?}");
        let indexes = Indexes::of_stack(shared, Stack::of(shared, "Template", "on-push.js")).await;

        // The default minimum is above the layers of this image: the output tag stands on the image itself.
        wanted.push("v1", &[280]).await;
        other.push("v1", &[281]).await;
        wanted.push("latest", &[282]).await;
        let record = indexes.record_of("template/app", "v1").await;
        assert_eq!(record.outcome(), "nothing-to-index", "{record:?}");
        assert_eq!(wanted.digest_of("v1.indexed"), wanted.digest_of("v1"));
        // The rule takes every push; the function passes over what no filter matches.
        for (repository, tag) in [("template/other", "v1"), ("template/app", "latest")] {
            let record = indexes.record_of(repository, tag).await;
            assert_eq!(record.text("Reason"), "no filter matches", "{record:?}");
        }
        assert_eq!(other.tags(), ["v1"]);
        assert_only(shared, &indexes.role().await, &["template/app"]);
        assert_eq!(indexes.failed(0).await.len(), 0);
    });
}
