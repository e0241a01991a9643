//! Registry clients of several makes push; nobody waits for an index, and it is there.

use std::{path::Path, process::Stdio};

use local_cloud::{
    account::registry_host,
    iam::Caller,
    image::{Image, Layer, Types},
};
use tempfile::TempDir;

use crate::{
    deployment::{LARGE, Repository},
    indexes::{Indexes, assert_only, properties},
    shared::{Shared, story},
};

async fn run(shared: &Shared, program: &str, arguments: &[&str]) {
    let ended = tokio::process::Command::new(program)
        .args(arguments)
        .envs(shared.cloud.environment().iter().cloned())
        .stdin(Stdio::null())
        .output()
        .await
        .unwrap_or_else(|error| panic!("{program} is missing; `make setup` installs it: {error}"));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{program} {arguments:?}: {said}");
}

async fn log_in(shared: &Shared, program: &str) {
    let token = shared.cloud.cloud().ecr().token(Caller::Deployer);
    let host = registry_host();
    let login = ["login", "--username", "AWS", "--password", &token, &host];
    run(shared, program, &login).await;
}

#[test]
fn a_push_by_any_client_ends_in_an_index() {
    story(async |shared| {
        let repository = Repository::new(shared, "clients/app").await;
        let source = Repository::new(shared, "source").await;
        let indexes = Indexes::deploy(shared, "Clients", properties(&["clients/*"])).await;
        let reference = |tag: &str| format!("{}/{}:{tag}", registry_host(), repository.name);

        repository.push("plain", &[200, 201]).await;

        let layers = [Layer::noise(202, LARGE)];
        let platforms = [("linux/amd64", &layers[..]), ("linux/arm64", &layers[..])];
        let several = Image::index(Types::Oci, &platforms);
        source.push_image("v1", &several).await;
        log_in(shared, "skopeo").await;
        let from = format!("docker://{}/source:v1", registry_host());
        let to = format!("docker://{}", reference("skopeo"));
        run(
            shared,
            "skopeo",
            &["--insecure-policy", "copy", "--all", &from, &to],
        )
        .await;

        let folder = TempDir::new().unwrap();
        let file = |name: &str| folder.path().join(name);
        let noise: Vec<u8> = std::iter::repeat_with(|| fastrand::u8(..))
            .take(LARGE)
            .collect();
        std::fs::write(file("noise"), noise).unwrap();
        std::fs::write(file("Dockerfile"), "FROM scratch\nADD noise /\n").unwrap();
        log_in(shared, "buildah").await;
        let (tag, context) = (reference("buildah"), path(folder.path()));
        run(shared, "buildah", &["build", "--tag", &tag, &context]).await;
        run(shared, "buildah", &["push", &tag]).await;

        for (tag, found) in [
            ("plain", &[("linux/amd64", 2)][..]),
            ("skopeo", &[("linux/amd64", 1), ("linux/arm64", 1)]),
            ("buildah", &[("linux/amd64", 1)]),
        ] {
            // One record for each image, also for one of several platforms.
            let record = indexes.record_of(&repository.name, tag).await;
            assert_eq!(record.outcome(), "indexed", "{record:?}");
            let output = format!("{tag}-soci");
            assert_eq!(record.text("OutputTag"), output);
            let digest = repository.digest_of(&output);
            assert_eq!(Some(record.text("OutputDigest")), digest.as_deref());
            let found = found
                .iter()
                .map(|(platform, ztocs)| ((*platform).to_owned(), "v2".to_owned(), *ztocs));
            assert_eq!(repository.indexes(&output).await, found.collect::<Vec<_>>());
        }
        // The function's own pushes are events, too, and come to nothing.
        let all = indexes.records().await;
        let others = all.iter().filter(|record| record.outcome() != "indexed");
        assert!(
            others.clone().all(|record| record.outcome() == "skipped"),
            "{all:#?}"
        );
        assert_eq!(all.len() - others.count(), 3);
        assert_only(shared, &indexes.role().await, &["clients/app"]);
        indexes.assert_rights_were_checked();
        indexes.destroy().await;
    });
}

fn path(path: &Path) -> String {
    path.display().to_string()
}
