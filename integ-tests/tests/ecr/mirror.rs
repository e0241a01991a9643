//! `soci-builder index --copy-to`: an image of a public registry comes to ECR with its index, in one pass.

use local_cloud::{
    account::registry_host,
    cloud::{
        Cloud, Options,
        given::{Given, allow, role_arn},
    },
    iam::Caller,
    programs,
};
use serde_json::{Value, json};
use soci_testing::{
    fake_registry::{FakeRegistry, Route},
    image::{Image, Layer},
};
use std::{process::Stdio, sync::Arc};
use tokio::process::Command;

/// What the README says that the target needs.
const TARGET: [&str; 7] = [
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
];

/// What the README says that a source in ECR needs.
const SOURCE: [&str; 3] = [
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchCheckLayerAvailability",
];

async fn cloud() -> Cloud {
    let arn = local_cloud::account::repository_arn;
    let rights = json!([
        allow(&["ecr:GetAuthorizationToken"], "*"),
        allow(&TARGET, &arn("mirror")),
        allow(&SOURCE, &arn("mirror")),
        allow(&TARGET, &arn("second")),
    ]);
    let given = Given::new()
        .repository("mirror", true)
        .repository("second", false)
        .role(&role_arn("mirror"), rights);
    Cloud::start(Arc::new(given), Options::default())
        .await
        .unwrap()
}

async fn copy(cloud: &Cloud, reference: &str, repository: &str) -> Value {
    let keys = cloud
        .iam()
        .open_session(Caller::role(&role_arn("mirror"), "copy"));
    let target = format!("{}/{repository}", registry_host());
    let ended = Command::new(programs::builder())
        .args(["index", reference, "--json", "--min-layer-size=1000"])
        .args(["--copy-to", &target])
        .env_clear()
        .envs(cloud.environment())
        .env("AWS_ACCESS_KEY_ID", keys.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", keys.secret_access_key)
        .env("AWS_SESSION_TOKEN", keys.session_token)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output()
        .await
        .unwrap();
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    for secret in cloud.secrets() {
        assert!(!said.contains(&secret), "{said}");
    }
    serde_json::from_slice(&ended.stdout).unwrap()
}

/// Several platforms that share a layer, each with an attestation.
fn public(layers: &[Layer; 3]) -> Image {
    let [shared, intel, arm] = layers;
    let mut entries = Vec::new();
    for (architecture, own) in [("amd64", intel), ("arm64", arm)] {
        let image = Image::for_platform(&format!("linux/{architecture}"), [shared, own]);
        let unknown = json!({"os": "unknown", "architecture": "unknown"});
        let statement = Layer::of(
            "application/vnd.in-toto+json",
            format!("{{\"of\":\"{architecture}\"}}"),
        );
        let says = json!({"platform": unknown, "annotations": {
            "vnd.docker.reference.type": "attestation-manifest",
            "vnd.docker.reference.digest": image.digest(),
        }});
        let platform = json!({"os": "linux", "architecture": architecture});
        entries.push((json!({"platform": platform}), image));
        entries.push((says, Image::with_config(&unknown, [&statement])));
    }
    Image::index(entries)
}

#[tokio::test]
async fn a_public_image_comes_to_ecr_with_its_index_in_one_pass() {
    let cloud = cloud().await;
    let source = FakeRegistry::start();
    let layers = [
        Layer::noise(1, 900_000),
        Layer::noise(2, 300_000),
        Layer::noise(3, 200_000),
    ];
    let image = public(&layers);
    let reference = image.push(&source, "v1");
    let report = copy(&cloud, &reference, "mirror").await;
    assert_eq!(report["outcome"], "indexed");
    let tags = cloud.ecr().tags("mirror");
    assert_eq!(tags["v1"], image.digest().to_string());
    assert_eq!(tags["v1-soci"], report["output_digest"]);
    for layer in &layers {
        let reads = source.requests_to(Route::ReadBlob);
        let of_it = |path: &str| path.ends_with(&layer.digest.to_string());
        assert_eq!(reads.iter().filter(|one| of_it(&one.path)).count(), 1);
        assert_eq!(source.served(&layer.digest), layer.size as u64);
    }
    // Tags are immutable here: a second run finds all of it.
    let again = copy(&cloud, &reference, "mirror").await;
    assert_eq!(again["outcome"], "already-there");
    assert_eq!(again["bytes_read"], 0);

    // From ECR to ECR, which mounts nothing here.
    let own = format!("{}/mirror:v1", registry_host());
    let second = copy(&cloud, &own, "second").await;
    assert_eq!(second["output_digest"], report["output_digest"]);
    assert_eq!(cloud.ecr().tags("second"), tags);

    assert_eq!(cloud.denials(), []);
    let used = cloud.iam().used();
    for action in TARGET {
        let is_used = used.iter().any(|(_, used)| used == action);
        assert!(is_used, "{action} is not used");
    }
}
