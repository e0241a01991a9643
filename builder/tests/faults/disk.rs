//! A disk that is full, at every point of a run: a small file system of its own, filled up to so many pages.

use std::{fs, io, path::Path, process::Command};

use soci_testing::image::{Image, Layer, files_of};
use tempfile::TempDir;

use crate::program;

const PAGE: usize = 4096;

/// A mounted file system; unmounted on drop.
struct Disk(TempDir);

impl Disk {
    fn mount() -> Self {
        let at = TempDir::new().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", "size=2m", "tmpfs"])
            .arg(at.path())
            .output()
            .unwrap();
        assert!(
            mounted.status.success(),
            "this test mounts a file system, which takes root: {}",
            String::from_utf8_lossy(&mounted.stderr)
        );
        Self(at)
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    /// Leaves that many pages free.
    fn fill(&self, free_pages: usize) {
        let filler = self.path().join("filler");
        let mut bytes = 0;
        fs::write(&filler, "").unwrap();
        let file = fs::OpenOptions::new().append(true).open(&filler).unwrap();
        loop {
            match io::Write::write(&mut &file, &[0; PAGE]) {
                Ok(written) => bytes += written,
                Err(error) if error.kind() == io::ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        let kept = bytes.checked_sub(free_pages * PAGE).unwrap();
        file.set_len(kept as u64).unwrap();
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, so that it succeeds whoever still looks at it.
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}

/// Runs with ever more space, until it is enough. Gives the number of runs that failed.
fn runs_out_of_space(disk: &Disk, reference: &str) -> usize {
    for free_pages in 0.. {
        disk.fill(free_pages);
        let before = files_of(disk.path());
        let ended = program(reference).run();
        if ended.code == Some(0) {
            return free_pages;
        }
        ended.fails_with(&["No space left on device"]);
        assert!(files_of(disk.path()) == before, "{free_pages} pages free");
    }
    unreachable!("the disk is larger than that")
}

#[test]
fn a_layout_stays_as_it_was() {
    let disk = Disk::mount();
    let layout = disk.path().join("layout");
    Image::of([&Layer::noise(1, 200_000)]).write_layout(&layout, "v1");
    let failed = runs_out_of_space(&disk, &format!("oci:{}:v1", layout.display()));
    // The ztoc, the config, three manifests, and index.json.
    assert!(failed >= 5, "{failed}");
}

#[test]
fn an_archive_stays_as_it_was() {
    let disk = Disk::mount();
    let (layout, _) = Image::of([&Layer::noise(1, 60_000)]).layout();
    let path = disk.path().join("image.tar");
    let mut archive = tar::Builder::new(fs::File::create(&path).unwrap());
    archive.append_dir_all(".", layout.path()).unwrap();
    archive.into_inner().unwrap();
    let failed = runs_out_of_space(&disk, &format!("oci-archive:{}:v1", path.display()));
    assert!(failed >= 15, "{failed}");
}
