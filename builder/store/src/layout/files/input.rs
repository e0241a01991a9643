//! The file of an archive: one that can be read at any place, whatever it comes from.
//! In: a path, or standard input. Out: an open file, or why it can be no archive and what to do. What is no file but a pipe is
//! written into a temporary file without a name, which goes with the process.

use std::{
    fs::File,
    io::{self, Read, Seek, Write},
    path::Path,
};

use soci_format::shell::quoted;

/// A tar archive begins with a header of that size.
const HEADER_BYTES: usize = 512;

/// Compressions that archives come in: how they begin, their names, and what writes the archive to a pipe.
const COMPRESSIONS: [(&[u8], &str, &str); 5] = [
    (&[0x1f, 0x8b], "gzip", "gunzip -c"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "zstd", "zstd -dc"),
    (&[0xfd, b'7', b'z', b'X', b'Z', 0], "xz", "xz -dc"),
    (b"BZh", "bzip2", "bunzip2 -c"),
    (&[0x04, 0x22, 0x4d, 0x18], "lz4", "lz4 -dc"),
];

/// Endings of compressed archives, and what they are without the compression.
const ENDINGS: [(&str, &str); 9] = [
    (".gz", ""),
    (".zst", ""),
    (".xz", ""),
    (".bz2", ""),
    (".lz4", ""),
    (".tgz", ".tar"),
    (".tzst", ".tar"),
    (".txz", ".tar"),
    (".tbz2", ".tar"),
];

/// Why something can be no archive.
pub(super) enum InputError {
    /// It could not be read or kept.
    Io(io::Error),
    /// It is something else.
    Other(String),
}

impl From<io::Error> for InputError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Standard input as a file.
pub(super) fn stdin() -> io::Result<File> {
    #[cfg(unix)]
    let input = std::os::fd::AsFd::as_fd(&io::stdin()).try_clone_to_owned()?;
    #[cfg(windows)]
    let input = std::os::windows::io::AsHandle::as_handle(&io::stdin()).try_clone_to_owned()?;
    Ok(input.into())
}

/// A file that can be read at any place.
pub(super) struct Input {
    pub(super) file: File,
    /// Whether nothing can be written to where it came from.
    pub(super) is_read_only: bool,
}

/// `file`, which came from `path` or standard input, or a copy of it.
pub(super) fn seekable(mut file: File, path: Option<&Path>) -> Result<Input, InputError> {
    let metadata = file.metadata()?;
    if metadata.is_dir() {
        return Err(InputError::Other(path.map_or_else(
            || "it is a directory, not a regular file".to_owned(),
            |path| {
                format!(
                    "it is a directory, not a regular file; write oci:{}",
                    path.display()
                )
            },
        )));
    }
    let mut head = Vec::new();
    (&mut file)
        .take(HEADER_BYTES as u64)
        .read_to_end(&mut head)?;
    if let Some((_, name, command)) = COMPRESSIONS
        .iter()
        .find(|(magic, ..)| head.starts_with(magic))
    {
        return Err(InputError::Other(format!(
            "compressed with {name}; {}",
            decompressed(command, path)
        )));
    }
    if metadata.is_file() {
        file.rewind()?;
        let is_read_only = path.is_none();
        return Ok(Input { file, is_read_only });
    }
    // Whatever else can come out of a pipe without end would fill the disk.
    if !is_tar(&head) {
        return Err(InputError::Other("not a tar archive".to_owned()));
    }
    let mut spool = || -> io::Result<Input> {
        let mut copy = tempfile::tempfile()?;
        copy.write_all(&head)?;
        io::copy(&mut file, &mut copy)?;
        Ok(Input {
            file: copy,
            is_read_only: true,
        })
    };
    spool().map_err(|error| {
        let folder = std::env::temp_dir();
        let what = format!(
            "cannot copy it into a temporary file in {}",
            folder.display()
        );
        InputError::Io(io::Error::new(error.kind(), format!("{what}: {error}")))
    })
}

fn is_tar(head: &[u8]) -> bool {
    let mut archive = tar::Archive::new(head);
    let entries = archive.entries().map(|entries| entries.raw(true));
    entries.is_ok_and(|mut entries| matches!(entries.next(), Some(Ok(_))))
}

/// How to come by the archive itself.
fn decompressed(command: &str, path: Option<&Path>) -> String {
    let Some(path) = path else {
        return format!("decompress it on the way: {command} FILE | soci-builder … oci-archive:-");
    };
    let path = path.display().to_string();
    let to = ENDINGS
        .iter()
        .find_map(|(from, to)| Some(format!("{}{to}", path.strip_suffix(from)?)))
        .unwrap_or_else(|| format!("{path}.tar"));
    format!(
        "decompress it first: {command} {} > {to}, and then use oci-archive:{to}",
        quoted(&path),
        to = quoted(&to),
    )
}
