//! Tar archives: any split gives the same, and another reader finds the same members where the formats leave no doubt.

use soci_format::tar::{Kind, TarReader};

const BLOCK: usize = 512;

/// What both readers say of a member.
#[derive(Debug, PartialEq)]
pub(super) struct Member {
    pub(super) name: Vec<u8>,
    pub(super) link_name: Vec<u8>,
    pub(super) payload_at: u64,
    pub(super) size: i64,
    pub(super) kind: Kind,
}

/// In one piece or in many: the same members and the same end. So for the bytes as they are, and with right checksums, without
/// which nothing much would be read.
pub(crate) fn tar(bytes: &[u8]) {
    check(bytes);
    check(&sealed(bytes));
}

/// PAX records and then the member that they describe.
pub(crate) fn pax(records: &[u8]) {
    let mut archive = header(b'x', records.len());
    archive.extend(records);
    archive.resize(archive.len().next_multiple_of(BLOCK), 0);
    archive.extend(header(b'0', 0));
    archive.resize(archive.len() + 2 * BLOCK, 0);
    check(&sealed(&archive));
}

fn check(bytes: &[u8]) {
    let read = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let (mut reader, mut seen) = (TarReader::new(), Vec::new());
        for piece in pieces {
            let pushed = reader.push(piece, &mut |entry| seen.push(format!("{entry:?}")));
            if pushed.is_err() {
                break;
            }
        }
        (seen, reader.finish())
    };
    assert_eq!(read(&mut [bytes].into_iter()), read(&mut bytes.chunks(13)));
    compare(bytes);
}

/// The members of both readers, up to the first that one of them refuses or that may be read in two ways.
fn compare(bytes: &[u8]) {
    let mut ours = Vec::new();
    // An error ends the list; what stands before it must be right all the same.
    let _ = TarReader::new().push(bytes, &mut |entry| {
        ours.push(Member {
            name: entry.name.to_vec(),
            link_name: entry.link_name.to_vec(),
            payload_at: entry.payload_at,
            size: entry.size,
            kind: entry.kind,
        });
    });
    let mut archive = tar::Archive::new(bytes);
    let theirs = archive.entries().expect("nothing is read yet");
    for (ours, theirs) in ours.iter().zip(theirs) {
        let Ok(mut theirs) = theirs else { return };
        if !is_clear(bytes, ours, &mut theirs) {
            return;
        }
        let link = theirs.link_name_bytes().unwrap_or_default().into_owned();
        assert_eq!(theirs.path_bytes().as_ref(), ours.name, "{ours:?}");
        assert_eq!(theirs.raw_file_position(), ours.payload_at, "{ours:?}");
        assert_eq!(theirs.size(), ours.size.cast_unsigned(), "{ours:?}");
        if matches!(ours.kind, Kind::Symlink | Kind::HardLink) {
            assert_eq!(link, ours.link_name, "{ours:?}");
        }
    }
}

/// Whether there is one way to read a member: the formats' own magic and numbers, each PAX key once and with a value, no NUL in
/// names, no empty long name (which Go passes over), a payload only where every reader expects one, and nothing that one of them takes for a header of the next.
pub(super) fn is_clear(bytes: &[u8], ours: &Member, theirs: &mut tar::Entry<'_, &[u8]>) -> bool {
    let Ok(payload_at) = usize::try_from(ours.payload_at) else {
        return false;
    };
    let block = &bytes[payload_at - BLOCK..payload_at];
    let is_ustar = block[257..].starts_with(b"ustar\x0000") && block[508..] != *b"tar\0";
    // With something where ustar has its prefix, Go may take it for one, as an old writer of its own wrote it.
    let is_gnu = block[257..].starts_with(b"ustar  \0") && block[345] == 0;
    let size = &block[124..136];
    let is_octal = size[..11].iter().all(|digit| (b'0'..=b'7').contains(digit))
        && matches!(size[11], 0 | b' ');
    let has_payload = ours.kind == Kind::Regular && block[156] != b'7';
    let has_nul = |text: &[u8]| text.contains(&0);
    let mut keys = Vec::new();
    if let Ok(Some(records)) = theirs.pax_extensions() {
        for record in records {
            match record {
                Ok(record) if record.value_bytes().is_empty() => return false,
                Ok(record) => keys.push(record.key_bytes().to_vec()),
                Err(_) => return false,
            }
        }
    }
    let records = keys.len();
    keys.sort();
    keys.dedup();
    let kind = theirs.header().entry_type();
    // Go looks at less of a magic than the crate does.
    let is_member = !kind.is_pax_local_extensions()
        && !kind.is_pax_global_extensions()
        && !kind.is_gnu_longname()
        && !kind.is_gnu_longlink();
    let their_name = theirs.path_bytes().into_owned();
    let their_link = theirs.link_name_bytes().unwrap_or_default().into_owned();
    is_member
        && (is_ustar || is_gnu)
        && is_octal
        && (has_payload || ours.size == 0)
        && keys.len() == records
        && !has_nul(&ours.name)
        && !has_nul(&ours.link_name)
        && !has_nul(&their_name)
        && !has_nul(&their_link)
        && !their_name.is_empty()
        && (!their_link.is_empty() || ours.link_name.is_empty())
}

/// `bytes` with the right checksum in every block that has a magic.
pub(super) fn sealed(bytes: &[u8]) -> Vec<u8> {
    let mut sealed = bytes.to_vec();
    for block in sealed.chunks_exact_mut(BLOCK) {
        if block[257..].starts_with(b"ustar") {
            block[148..156].fill(b' ');
            let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
            block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        }
    }
    sealed
}

/// A header block without its checksum.
fn header(flag: u8, size: usize) -> Vec<u8> {
    let mut block = vec![0; BLOCK];
    block[0] = b'a';
    block[124..136].copy_from_slice(format!("{size:011o}\0").as_bytes());
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block
}
