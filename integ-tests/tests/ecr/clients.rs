//! The real programs at ECR: `soci-builder` and `skopeo`, through the proxy, with the authority's certificate and with tokens.

use std::{
    path::Path,
    process::{Output, Stdio},
    sync::Arc,
};

use local_cloud::{
    account::{ACCOUNT_ID, REGION, registry_host, repository_arn},
    cloud::{
        Cloud, Options,
        given::{Given, allow, role_arn},
    },
    faults::{Fault, Point},
    iam::Caller,
    image::{Image, Layer, Types},
    programs,
};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::process::Command;

/// What the builder needs, and no more.
const BUILDER: [&str; 7] = [
    "ecr:BatchGetImage",
    "ecr:GetDownloadUrlForLayer",
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
];

async fn cloud() -> Cloud {
    let rights = json!([
        allow(&["ecr:GetAuthorizationToken"], "*"),
        allow(&BUILDER, &repository_arn("app")),
        allow(&BUILDER, &repository_arn("fixed")),
    ]);
    let given = Given::new()
        .repository("app", false)
        .repository("fixed", true)
        .role(&role_arn("builder"), rights);
    Cloud::start(Arc::new(given), Options::default())
        .await
        .unwrap()
}

fn layers() -> [Layer; 2] {
    [Layer::noise(1, 600_000), Layer::noise(2, 300_000)]
}

fn command(cloud: &Cloud, program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .envs(cloud.environment())
        .stdin(Stdio::null())
        .kill_on_drop(true);
    command
}

/// Runs the builder with a session of its role.
async fn builder(cloud: &Cloud, arguments: &[&str]) -> Output {
    let keys = cloud
        .iam()
        .open_session(Caller::role(&role_arn("builder"), "build"));
    command(cloud, programs::builder())
        .args(arguments)
        .env("AWS_ACCESS_KEY_ID", keys.access_key_id)
        .env("AWS_SECRET_ACCESS_KEY", keys.secret_access_key)
        .env("AWS_SESSION_TOKEN", keys.session_token)
        .output()
        .await
        .unwrap()
}

async fn index(cloud: &Cloud, image: &str, more: &[&str]) -> Value {
    let arguments = ["index", image, "--json", "--min-layer-size=0"];
    let ended = builder(cloud, &[&arguments[..], more].concat()).await;
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{said}");
    for secret in cloud.secrets() {
        assert!(!said.contains(&secret), "{said}");
    }
    serde_json::from_slice(&ended.stdout).unwrap()
}

#[tokio::test]
async fn the_builder_indexes_an_image() {
    let cloud = cloud().await;
    for (types, tag) in [(Types::Docker, "docker"), (Types::Oci, "oci")] {
        let image = Image::of(types, &layers());
        let reference = image.push(&cloud, "app", tag).await.unwrap();
        let report = index(&cloud, &reference, &[]).await;
        assert_eq!(report["outcome"], "indexed");
        assert_eq!(report["image_digest"], image.digest());
        let output = format!("{tag}-soci");
        assert_eq!(cloud.ecr().tags("app")[&output], report["output_digest"]);
        let again = index(&cloud, &reference, &[]).await;
        assert_eq!(again["outcome"], "already-there");
    }
    // Nothing but ECR was asked for, and all that was allowed.
    assert!(cloud.proxy().tunnels() > 0);
    assert_eq!(cloud.proxy().refused(), Vec::<String>::new());
    assert_eq!(cloud.denials(), []);
    // And nothing was allowed that it does not use.
    let used: Vec<_> = cloud
        .iam()
        .used()
        .into_iter()
        .map(|(_, action)| action)
        .collect();
    for action in BUILDER {
        assert!(used.contains(&action.to_owned()), "{action} is not used");
    }
}

#[tokio::test]
async fn the_builder_needs_each_of_its_rights() {
    for action in BUILDER.iter().chain(&["ecr:GetAuthorizationToken"]) {
        let cloud = cloud().await;
        let image = Image::of(Types::Oci, &[Layer::noise(1, 100_000)]);
        let reference = image.push(&cloud, "app", "v1").await.unwrap();
        cloud
            .iam()
            .withhold("*", action, local_cloud::iam::Lasts::UntilLifted);
        let ended = builder(&cloud, &["index", &reference, "--min-layer-size=0"]).await;
        assert_eq!(ended.status.code(), Some(1), "without {action}");
        assert!(cloud.denials().iter().any(|one| one.action == *action));
    }
}

#[tokio::test]
async fn several_platforms_and_version_1() {
    let cloud = cloud().await;
    let (amd64, arm64) = (layers(), [Layer::noise(3, 400_000)]);
    let image = Image::index(
        Types::Oci,
        &[("linux/amd64", &amd64), ("linux/arm64", &arm64)],
    );
    let reference = image.push(&cloud, "app", "v1").await.unwrap();
    let report = index(&cloud, &reference, &[]).await;
    assert_eq!(report["indexes"].as_array().unwrap().len(), 2);
    let v1 = ["--index-version=v1"];
    let report = index(&cloud, &reference, &v1).await;
    assert_eq!(report["outcome"], "indexed");
    assert_eq!(report["output_digest"], image.digest());
    let report = index(&cloud, &reference, &v1).await;
    assert_eq!(report["outcome"], "already-there");
    // This registry lists referrers: the tag that stands in for that is not needed.
    assert_eq!(
        cloud.ecr().tags("app").keys().collect::<Vec<_>>(),
        ["v1", "v1-soci"]
    );
    assert_eq!(cloud.denials(), []);
}

#[tokio::test]
async fn tokens_and_addresses_expire_while_the_builder_works() {
    let cloud = cloud().await;
    let reference = Image::of(Types::Oci, &layers())
        .push(&cloud, "app", "v1")
        .await
        .unwrap();
    let faults = cloud.faults();
    for action in ["GetBlob", "PutUpload", "PutManifest"] {
        faults.next(Point::registry(action), Fault::Expired);
    }
    faults.next(Point::storage(), Fault::CutAfter(100_000));
    faults.next(Point::storage(), Fault::Expired);
    faults.times(2, Point::registry("StartUpload"), Fault::Throttled);
    faults.next(Point::registry("PutManifest"), Fault::AnswerLost);
    let report = index(&cloud, &reference, &[]).await;
    assert_eq!(report["outcome"], "indexed");
    assert!(faults.count(&Point::ecr("GetAuthorizationToken")) >= 4);
    assert_eq!(cloud.denials(), []);
}

#[tokio::test]
async fn immutable_tags_stop_the_builder_only_when_they_differ() {
    let cloud = cloud().await;
    let reference = Image::of(Types::Oci, &layers())
        .push(&cloud, "fixed", "v1")
        .await
        .unwrap();
    assert_eq!(index(&cloud, &reference, &[]).await["outcome"], "indexed");
    assert_eq!(
        index(&cloud, &reference, &[]).await["outcome"],
        "already-there"
    );
    let other = [
        "index",
        &reference,
        "--min-layer-size=0",
        "--span-size=1MiB",
    ];
    let ended = builder(&cloud, &other).await;
    assert_eq!(ended.status.code(), Some(1));
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("v1-soci"), "{said}");
}

/// skopeo with an own store of credentials.
struct Skopeo<'a> {
    cloud: &'a Cloud,
    folder: TempDir,
}

impl<'a> Skopeo<'a> {
    async fn logged_in(cloud: &'a Cloud) -> Self {
        let skopeo = Self {
            cloud,
            folder: TempDir::new().unwrap(),
        };
        let token = cloud.ecr().token(Caller::Deployer);
        let login = [
            "login",
            "--username",
            "AWS",
            "--password",
            &token,
            &registry_host(),
        ];
        skopeo.run(&login).await;
        skopeo
    }

    async fn run(&self, arguments: &[&str]) -> Vec<u8> {
        let ended = command(self.cloud, "skopeo")
            .arg("--insecure-policy")
            .args(arguments)
            .env("REGISTRY_AUTH_FILE", self.folder.path().join("auth.json"))
            .output()
            .await
            .expect("skopeo is missing; `make setup` installs it");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "skopeo {arguments:?}: {said}");
        ended.stdout
    }
}

#[tokio::test]
async fn skopeo_pulls_and_pushes() {
    let cloud = cloud().await;
    let platforms = layers();
    let image = Image::index(Types::Docker, &[("linux/amd64", &platforms)]);
    let reference = image.push(&cloud, "app", "v1").await.unwrap();
    let skopeo = Skopeo::logged_in(&cloud).await;
    let folder = skopeo.folder.path().join("image");
    let folder = format!("dir:{}", folder.display());
    skopeo
        .run(&["copy", "--all", &format!("docker://{reference}"), &folder])
        .await;
    let pulled = Path::new(folder.trim_start_matches("dir:"));
    for layer in &platforms {
        let file = pulled.join(layer.digest.to_string().trim_start_matches("sha256:"));
        assert_eq!(std::fs::metadata(file).unwrap().len(), layer.size as u64);
    }
    let to = format!("docker://{}/fixed:v1", registry_host());
    skopeo
        .run(&["copy", "--all", "--preserve-digests", &folder, &to])
        .await;
    assert_eq!(cloud.ecr().tags("fixed")["v1"], image.digest());
    let pieces = cloud.faults().count(&Point::registry("PatchUpload"));
    assert!(pieces >= 3, "skopeo uploads in pieces: {pieces}");
    let tags: Value = serde_json::from_slice(
        &skopeo
            .run(&["list-tags", &format!("docker://{}/app", registry_host())])
            .await,
    )
    .unwrap();
    assert_eq!(tags["Tags"], json!(["v1"]));
    assert_eq!(
        registry_host(),
        format!("{ACCOUNT_ID}.dkr.ecr.{REGION}.amazonaws.com")
    );
    assert_eq!(cloud.proxy().refused(), Vec::<String>::new());
}

/// What the `cdk` CLI has buildah do.
#[tokio::test]
async fn buildah_pushes() {
    let cloud = cloud().await;
    let folder = TempDir::new().unwrap();
    let at = |name: &str| folder.path().join(name).display().to_string();
    let storage = format!(
        "[storage]\ndriver = \"vfs\"\ngraphroot = {:?}\nrunroot = {:?}\n",
        at("root"),
        at("run")
    );
    std::fs::write(at("storage.conf"), storage).unwrap();
    std::fs::write(at("auth.json"), "{}").unwrap();
    std::fs::write(at("Dockerfile"), "FROM scratch\nADD Dockerfile /\n").unwrap();
    let tag = format!("{}/app:v1", registry_host());
    let token = cloud.ecr().token(Caller::Deployer);
    for arguments in [
        vec![
            "login",
            "--username",
            "AWS",
            "--password",
            &token,
            &registry_host(),
        ],
        vec![
            "build",
            "--tag",
            &tag,
            "--platform",
            "linux/amd64",
            folder.path().to_str().unwrap(),
        ],
        vec!["push", &tag],
    ] {
        let ended = command(&cloud, "buildah")
            .args(&arguments)
            .env("HOME", folder.path())
            .env("BUILDAH_ISOLATION", "chroot")
            .env("BUILDAH_FORMAT", "docker")
            .env("STORAGE_DRIVER", "vfs")
            .env("CONTAINERS_STORAGE_CONF", at("storage.conf"))
            .env("REGISTRY_AUTH_FILE", at("auth.json"))
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .await
            .expect("buildah is missing; `make setup` installs it");
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "buildah {}: {said}", arguments[0]);
    }
    let report = index(&cloud, &tag, &[]).await;
    assert_eq!(report["outcome"], "indexed");
    assert_eq!(cloud.proxy().refused(), Vec::<String>::new());
}
