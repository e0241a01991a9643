//! Layouts as files. In: where a layout is. Out: the layout, whose files are those of a directory or of an archive.

pub mod archive;
mod directory;
mod elsewhere;
mod input;
mod lock;

use std::{fs::File, io, path::Path};

use soci_format::{limits::Limits, oci::Place};

use super::{Error, Files, Layout};
use input::{Input, InputError};

impl Layout {
    /// Opens the layout that is at `place`.
    pub fn open(place: &Place) -> Result<Self, Error> {
        match place {
            Place::Directory(path) => Self::open_directory(path),
            Place::Archive(path) => Self::open_archive(path),
            Place::Stdin => {
                let path = Path::new("standard input");
                let input = input::stdin().map_err(|source| Self::not_opened(path, source))?;
                Self::of_archive(place, path, input::seekable(input, None))
            }
        }
    }

    pub fn open_directory(path: &Path) -> Result<Self, Error> {
        let place = Place::Directory(path.to_owned());
        let not_a_layout = |why| {
            Err(Error::NotALayout {
                layout: path.to_owned(),
                why,
            })
        };
        if path.is_file() {
            return not_a_layout(format!(
                "it is a file; write oci-archive:{}",
                path.display()
            ));
        }
        if matches!(path.try_exists(), Ok(false)) {
            return not_a_layout("no such directory".to_owned());
        }
        let files = Box::new(directory::Directory::new(path));
        Self::of(place, path, files)
    }

    /// Opens the archive `path`. What is no file but a pipe is read to its end first.
    pub fn open_archive(path: &Path) -> Result<Self, Error> {
        let place = Place::Archive(path.to_owned());
        let file = File::open(path).map_err(|source| Self::not_opened(path, source))?;
        Self::of_archive(&place, path, input::seekable(file, Some(path)))
    }

    fn of_archive(
        place: &Place,
        path: &Path,
        input: Result<Input, InputError>,
    ) -> Result<Self, Error> {
        let input = input.map_err(|unusable| match unusable {
            InputError::Io(source) => Self::not_opened(path, source),
            InputError::Other(why) => Error::NotALayout {
                layout: path.to_owned(),
                why,
            },
        })?;
        let archive = archive::Archive::of(input.file, path);
        let archive = archive.map_err(|source| Self::not_opened(path, source))?;
        let layout = Self::of(place.clone(), path, Box::new(archive))?;
        Ok(Self {
            is_read_only: input.is_read_only,
            ..layout
        })
    }

    fn not_opened(path: &Path, source: io::Error) -> Error {
        Error::File {
            what: "read",
            file: "the members".to_owned(),
            layout: path.to_owned(),
            source,
        }
    }

    fn of(place: Place, path: &Path, files: Box<dyn Files>) -> Result<Self, Error> {
        let layout = Self {
            place,
            path: path.to_owned(),
            files,
            is_read_only: false,
            limits: Limits::default(),
        };
        if layout.read("oci-layout", 4096)?.is_none() {
            return Err(layout.not_a_layout(&layout.without_a_layout()));
        }
        Ok(layout)
    }
}
