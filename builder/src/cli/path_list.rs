//! Lists of paths: bytes of a file in, paths out. One path a line, or a JSON array of strings, which soci-snapshotter reads.

use std::{io, path::Path};

use tokio::{fs, io::AsyncReadExt};

/// A list that cannot be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Malformed {
    /// It looks like JSON, and is not.
    #[error(
        "it starts with '[', but is not a JSON array of strings; if the first path starts with '[', write ./["
    )]
    Json(#[from] serde_json::Error),
    /// It cannot be read at all.
    #[error(transparent)]
    Read(#[from] io::Error),
    /// Not text.
    #[error("its paths are not UTF-8")]
    Text(#[from] std::str::Utf8Error),
}

/// All of a file, or of stdin.
pub(crate) async fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path != Path::new("-") {
        return fs::read(path).await;
    }
    let mut list = Vec::new();
    tokio::io::stdin().read_to_end(&mut list).await?;
    Ok(list)
}

/// The paths of a list, one a line, without blank lines and comments.
pub(crate) fn lines(list: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = list.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii);
    lines.filter(|line| !line.is_empty() && !line.starts_with(b"#"))
}

/// The paths of a list in either form; blank ones are skipped.
pub(crate) fn paths(list: &[u8]) -> Result<Vec<String>, Malformed> {
    if list.trim_ascii_start().starts_with(b"[") {
        let paths: Vec<String> = serde_json::from_slice(list)?;
        let paths = paths.iter().map(|path| path.trim().to_owned());
        return Ok(paths.filter(|path| !path.is_empty()).collect());
    }
    let paths = lines(list).map(|path| Ok(std::str::from_utf8(path)?.to_owned()));
    paths.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blank_lines_and_comments_are_no_paths() {
        let list = b"# the server\n/bin/sh\r\n\n  /etc/a b \n\t#x\n./#y\n./[x";
        let found = ["/bin/sh", "/etc/a b", "./#y", "./[x"];
        assert_eq!(lines(list).collect::<Vec<_>>(), found.map(str::as_bytes));
        assert_eq!(paths(list).unwrap(), found);
        assert!(paths(b"").unwrap().is_empty());
    }

    #[test]
    fn a_json_array_of_strings_is_a_list() {
        let list = b"\n [\"/app/main\", \" /a b\\n\", \"\", \"#x\"]\n";
        assert_eq!(paths(list).unwrap(), ["/app/main", "/a b", "#x"]);
        for malformed in [&b"[id].js"[..], b"[1]", b"[\"a\"", b"[\"a\"] x"] {
            assert!(matches!(paths(malformed), Err(Malformed::Json(_))));
        }
        assert!(matches!(paths(b"a\n\xff"), Err(Malformed::Text(_))));
    }
}
