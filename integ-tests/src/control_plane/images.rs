//! How the `cdk` CLI builds and pushes image assets without a container engine: buildah, in folders of this run.
//! In: the run's folder. Out: environment. The folder is free of mounts again when this is dropped.

use std::{
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Error, tools};

/// buildah's storage.
#[derive(Debug)]
pub(super) struct ImageStore {
    folder: PathBuf,
    driver: &'static str,
}

impl ImageStore {
    pub(super) fn new(run: &Path) -> Result<Self, Error> {
        let folder = run.join("images");
        tools::make(&folder)?;
        // Empty, but there: without it the login fails.
        tools::write(&folder.join("auth.json"), "{}")?;
        let mut store = Self {
            folder,
            driver: "overlay",
        };
        store.configure()?;
        // On a file system that cannot carry an overlay (another overlay), each layer is a copy of all below it.
        if !store.works() {
            store.driver = "vfs";
            store.configure()?;
        }
        Ok(store)
    }

    fn configure(&self) -> Result<(), Error> {
        let at = self.folder.display();
        let text = format!(
            "[storage]\ndriver = \"{}\"\ngraphroot = \"{at}/{0}\"\nrunroot = \"{at}/{0}-run\"\n",
            self.driver
        );
        tools::write(&self.folder.join("storage.conf"), &text)
    }

    fn works(&self) -> bool {
        let mut buildah = Command::new("buildah");
        buildah.arg("info").envs(self.environment());
        let quiet = buildah
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        quiet.status().is_ok_and(|status| status.success())
    }

    /// What the CLI needs to know.
    pub(super) fn environment(&self) -> Vec<(String, String)> {
        let file = |name: &str| self.folder.join(name).display().to_string();
        [
            ("CDK_DOCKER", "buildah".to_owned()),
            ("CDK_DOCKER_CREDS_FILE", "/nonexistent".to_owned()),
            ("BUILDAH_ISOLATION", "chroot".to_owned()),
            ("BUILDAH_FORMAT", "docker".to_owned()),
            // Each ADD is a layer of its own, and is not made again when the next image has it too.
            ("BUILDAH_LAYERS", "true".to_owned()),
            ("STORAGE_DRIVER", self.driver.to_owned()),
            ("CONTAINERS_STORAGE_CONF", file("storage.conf")),
            ("REGISTRY_AUTH_FILE", file("auth.json")),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into()
    }
}

impl Drop for ImageStore {
    fn drop(&mut self) {
        let mount = self.folder.join("overlay/overlay");
        let mut umount = Command::new("umount");
        umount
            .arg(mount)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // It fails where buildah has left no mount, which is the usual case.
        let _ = umount.status();
    }
}
