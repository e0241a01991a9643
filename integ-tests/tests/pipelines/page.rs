//! builder/PIPELINES.md: its code blocks, which are named after their language, in this account and with a release on this machine.

use std::{fs, path::Path};

use local_cloud::{
    account::{ACCOUNT_ID, REGION},
    programs,
};
use regex_lite::Regex;

use crate::release::VERSION;

/// What the recipes have for the reader to replace.
const ACCOUNT: &str = "123456789012";
const HOME: &str = "eu-west-1";
/// Where they download releases.
pub(crate) const RELEASES: &str =
    "https://github.com/soci-index-build/soci-index-build/releases/download";

/// The page.
pub(crate) struct Page(String);

impl Page {
    /// As it is.
    pub(crate) fn read() -> Self {
        let path = programs::repository().join("builder/PIPELINES.md");
        Self(fs::read_to_string(path).unwrap())
    }

    /// For this account, and with releases from there.
    pub(crate) fn here(releases: &str) -> Self {
        let text = Self::read().0;
        let text = text.replace(ACCOUNT, ACCOUNT_ID).replace(HOME, REGION);
        Self(text.replace(RELEASES, releases))
    }

    /// The text.
    pub(crate) fn text(&self) -> &str {
        &self.0
    }

    /// The names of all blocks.
    pub(crate) fn names(&self) -> Vec<&str> {
        let blocks = self.0.split("\n```").skip(1).step_by(2);
        let heads = blocks.filter_map(|block| block.lines().next());
        heads
            .filter_map(|head| head.split_once(' '))
            .map(|(_, name)| name)
            .collect()
    }

    /// A block.
    pub(crate) fn block(&self, name: &str) -> &str {
        let mut blocks = self.0.split("\n```").skip(1).step_by(2);
        let named = |block: &&str| {
            let head = block.lines().next().unwrap();
            head.split_once(' ').is_some_and(|(_, of)| of == name)
        };
        let block = blocks
            .find(named)
            .unwrap_or_else(|| panic!("no block {name}"));
        block.split_once('\n').unwrap().1
    }

    /// Writes a block into a file of its name.
    pub(crate) fn write(&self, name: &str, folder: &Path) -> std::path::PathBuf {
        let path = folder.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, format!("{}\n", self.block(name))).unwrap();
        path
    }
}

#[test]
fn it_names_the_version_that_this_is() {
    let page = Page::read();
    let ours = Regex::new(r"(?:download/v|soci-index@v|soci-builder:)([0-9][0-9.]*[0-9])").unwrap();
    let versions: Vec<_> = ours
        .captures_iter(page.text())
        .map(|found| found[1].to_owned())
        .collect();
    assert!(versions.len() > 5, "{versions:?}");
    assert!(
        versions.iter().all(|version| version == VERSION),
        "{versions:?}"
    );
}
