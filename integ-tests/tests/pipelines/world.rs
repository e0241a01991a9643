//! What a recipe finds: an image in ECR, a role with the rights that the page gives it, a release, and a shell with the real tools.

use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::Path,
    process::{Command, Output},
    sync::Arc,
};

use local_cloud::{
    account::registry_host,
    cloud::{
        Cloud, Options,
        given::{Given, role_arn},
    },
    iam::{Caller, Keys},
    image::{Image, Layer, Types},
    programs,
};
use soci_testing::scratch::scratch;
use tempfile::TempDir;

use crate::{page::Page, release::Release, yaml};

/// The role's name on the page.
pub(crate) const ROLE: &str = "index-images";

pub(crate) struct World {
    pub(crate) cloud: Cloud,
    pub(crate) page: Page,
    /// What was pushed, `…/app:v1`.
    pub(crate) image: String,
    pub(crate) image_digest: String,
    pub(crate) folder: TempDir,
    release: Release,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::of(|given, _| given).await
    }

    /// With more in the account.
    pub(crate) async fn of(more: impl FnOnce(Given, &Page) -> Given) -> Self {
        let release = Release::serve(|archive| archive).await;
        let page = Page::here(&release.url());
        let policy = yaml::parse(page.block("policy"));
        let given = Given::new().repository("app", false);
        let given = given.role(&role_arn(ROLE), policy["Statement"].clone());
        let cloud = Cloud::start(Arc::new(more(given, &page)), Options::default())
            .await
            .unwrap();
        // The recipes leave the smallest layer's size at its default.
        let pushed = Image::of(Types::Oci, &[Layer::noise(1, 10_600_000)]);
        let image = pushed.push(&cloud, "app", "v1").await.unwrap();
        assert_eq!(image, format!("{}/app:v1", registry_host()));
        let folder = scratch();
        for name in ["bin", "work"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        Self {
            cloud,
            page,
            image,
            image_digest: pushed.digest(),
            folder,
            release,
        }
    }

    /// Where releases are.
    pub(crate) fn release_url(&self) -> String {
        self.release.url()
    }

    /// Where the recipe runs.
    pub(crate) fn work(&self) -> std::path::PathBuf {
        self.folder.path().join("work")
    }

    /// Credentials of the role.
    pub(crate) fn keys(&self) -> Keys {
        self.cloud
            .iam()
            .open_session(Caller::role(&role_arn(ROLE), "pipeline"))
    }

    /// The same as variables.
    pub(crate) fn credentials(&self) -> BTreeMap<String, String> {
        let keys = self.keys();
        let pairs = [
            ("AWS_ACCESS_KEY_ID", keys.access_key_id),
            ("AWS_SECRET_ACCESS_KEY", keys.secret_access_key),
            ("AWS_SESSION_TOKEN", keys.session_token),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value)).into()
    }

    /// Puts a program into the PATH of the recipe: in place of a tool that is not here.
    pub(crate) fn stand_in(&self, name: &str, script: &str) {
        let path = self.folder.path().join("bin").join(name);
        fs::write(&path, format!("#!/bin/bash\nset -eu\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Puts soci-builder into the PATH of the recipe.
    pub(crate) fn install_builder(&self) {
        let link = self.folder.path().join("bin/soci-builder");
        std::os::unix::fs::symlink(programs::builder(), link).unwrap();
    }

    /// Runs a script with `shell` and its options, in the recipe's folder, and asserts that it succeeds.
    pub(crate) fn run(
        &self,
        shell: &[&str],
        script: &str,
        environment: &BTreeMap<String, String>,
    ) -> Output {
        let path = format!(
            "{}:/usr/local/bin:/usr/bin:/bin",
            self.folder.path().join("bin").display()
        );
        let ended = Command::new(shell[0])
            .args(&shell[1..])
            .args(["-c", script])
            .env_clear()
            .env("PATH", path)
            .env("HOME", self.folder.path())
            .envs(self.cloud.environment())
            .envs(environment)
            .current_dir(self.work())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&ended.stderr);
        assert!(ended.status.success(), "{script}\n{said}");
        for secret in self.cloud.secrets() {
            assert!(!said.contains(&secret), "{said}");
        }
        ended
    }

    /// Asserts that the index is in ECR, that nothing was denied, and that nothing was allowed that was not used.
    pub(crate) fn is_indexed(&self) -> String {
        self.has("v1-soci")
    }

    /// The same for an index of another tag.
    pub(crate) fn has(&self, tag: &str) -> String {
        assert_eq!(self.cloud.denials(), []);
        let used = self.cloud.iam().used();
        let policy = yaml::parse(self.page.block("policy"));
        let statements = policy["Statement"].as_array().unwrap().iter();
        let allowed = statements.flat_map(|statement| match &statement["Action"] {
            serde_json::Value::Array(actions) => actions.clone(),
            one => vec![one.clone()],
        });
        for action in allowed {
            let of_role = (role_arn(ROLE), action.as_str().unwrap().to_owned());
            assert!(used.contains(&of_role), "{action} was not used");
        }
        let tags = self.cloud.ecr().tags("app");
        tags.get(tag).unwrap_or_else(|| panic!("{tags:?}")).clone()
    }

    /// A file that the recipe has written.
    pub(crate) fn written(&self, name: &str) -> String {
        let path = self.work().join(name);
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
    }
}

/// A script that the recipe has as a file.
pub(crate) fn make_executable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
}
