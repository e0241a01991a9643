//! `soci-builder report`: what it says a start fetches is what a reader fetches, and its page is safe, complete and usable.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod browser;
mod commands;
mod fetched;
mod shown;

use std::path::PathBuf;

use soci_testing::program::{Ended, Program};
use tempfile::TempDir;

/// The page of an image, in a directory of its own.
struct Page {
    folder: TempDir,
    text: String,
}

impl Page {
    /// Writes it with a list of start files, where there is one, and more flags.
    fn of(image: &str, start_files: Option<&str>, more: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let file = folder.path().join("page.html");
        let mut program = Program::new(["report", image, "-o"]).argument(&file);
        if let Some(list) = start_files {
            let start = folder.path().join("start");
            std::fs::write(&start, list).unwrap();
            program = program.argument("--start-files").argument(start);
        }
        for flag in more {
            program = program.argument(flag);
        }
        let Ended { stdout, stderr, .. } = program.run().exits(0);
        assert_eq!((&*stdout, &*stderr), ("", ""));
        let text = std::fs::read_to_string(file).unwrap();
        Self { folder, text }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("page.html")
    }
}
