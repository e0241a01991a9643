//! The golden files, `golden/` in this crate: small layers and images, and what the reference implementation made of them.

use std::{
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

pub struct Layer {
    /// The name of its case.
    pub name: String,
    pub file: PathBuf,
    /// The file's bytes: a tar archive, most often in gzip.
    pub stored: Vec<u8>,
}

impl Layer {
    /// Whether it is compressed.
    pub fn is_gzip(&self) -> bool {
        self.stored.starts_with(&[0x1f, 0x8b])
    }

    /// Its tar archive.
    pub fn plain(&self) -> Vec<u8> {
        if !self.is_gzip() {
            return self.stored.clone();
        }
        let mut plain = Vec::new();
        flate2::read::MultiGzDecoder::new(&self.stored[..])
            .read_to_end(&mut plain)
            .unwrap();
        plain
    }

    /// Digest and size of the ztoc, by span size.
    pub fn expected(&self) -> serde_json::Value {
        expected(self.file.parent().unwrap())
    }

    /// The file of its ztoc with a span size of 65,536.
    pub fn ztoc(&self) -> PathBuf {
        self.file.with_file_name("ztoc-65536")
    }
}

/// All layers, by name.
pub fn layers() -> Vec<Layer> {
    let read = |folder: PathBuf| {
        let files = ["layer.tar.gz", "layer.tar"].map(|name| folder.join(name));
        let file = files.into_iter().find(|file| file.exists()).unwrap();
        Layer {
            name: folder.file_name().unwrap().to_str().unwrap().to_owned(),
            stored: fs::read(&file).unwrap(),
            file,
        }
    };
    cases("layers").into_iter().map(read).collect()
}

pub fn layer(case: &str) -> Layer {
    let mut layers = layers().into_iter();
    layers.find(|layer| layer.name == case).unwrap()
}

/// The folders of all images, by name: `layout` is one in OCI's layout, and what was made of it lies beside.
pub fn images() -> Vec<PathBuf> {
    cases("images")
}

/// The folder of one image.
pub fn image(case: &str) -> PathBuf {
    folder().join("images").join(case)
}

pub fn expected(case: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(case.join("expected.json")).unwrap()).unwrap()
}

fn folder() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/golden"))
}

fn cases(kind: &str) -> Vec<PathBuf> {
    let cases = fs::read_dir(folder().join(kind)).unwrap();
    let mut cases: Vec<_> = cases.map(|case| case.unwrap().path()).collect();
    cases.sort();
    cases
}
