//! Members that are no files but describe the next one: PAX records and GNU long names.
//! In: their payload, in pieces. Out: the next member, with what they say put over its header.

use super::{
    entry::{Entry, Kind, payload_bytes},
    error::{Error, shown},
    header::{BLOCK_BYTES, Header},
    pax::Records,
    timestamp::Timestamp,
};

/// A kind of describing member.
#[derive(Clone, Copy)]
pub(super) enum MetaKind {
    Pax,
    LongName,
    LongLink,
}

impl MetaKind {
    pub(super) fn of(flag: u8) -> Option<Self> {
        match flag {
            b'x' => Some(Self::Pax),
            b'L' => Some(Self::LongName),
            b'K' => Some(Self::LongLink),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Pax => "PAX records",
            Self::LongName => "GNU long name",
            Self::LongLink => "GNU long link",
        }
    }
}

/// What is known about the next member. Where one kind comes twice, the later one counts alone.
#[derive(Default)]
pub(super) struct Pending {
    pax: Records,
    /// Empty where there is none.
    long_name: Vec<u8>,
    /// Empty where there is none.
    long_link: Vec<u8>,
    /// The member's name in its header, joined.
    header_name: Vec<u8>,
}

impl Pending {
    pub(super) fn clear(&mut self) {
        self.pax.clear();
        self.long_name.clear();
        self.long_link.clear();
    }

    pub(super) fn begin(&mut self, kind: MetaKind) {
        match kind {
            MetaKind::Pax => self.pax.clear(),
            MetaKind::LongName => self.long_name.clear(),
            MetaKind::LongLink => self.long_link.clear(),
        }
    }

    pub(super) fn take(&mut self, kind: MetaKind, bytes: &[u8]) {
        match kind {
            MetaKind::Pax => self.pax.take(bytes),
            MetaKind::LongName => self.long_name.extend_from_slice(bytes),
            MetaKind::LongLink => self.long_link.extend_from_slice(bytes),
        }
    }

    pub(super) fn end(&mut self, kind: MetaKind) -> Result<(), super::PaxProblem> {
        match kind {
            MetaKind::Pax => self.pax.parse()?,
            MetaKind::LongName => cut_at_nul(&mut self.long_name),
            MetaKind::LongLink => cut_at_nul(&mut self.long_link),
        }
        Ok(())
    }

    /// The next member's name.
    pub(super) fn name(&mut self, header: &Header<'_>) -> Vec<u8> {
        header.full_name(&mut self.header_name);
        or(&self.long_name, self.pax.value(b"path"), &self.header_name).to_vec()
    }

    /// What the next member points to.
    pub(super) fn link_name(&self, header: &Header<'_>) -> Vec<u8> {
        let pax = self.pax.value(b"linkpath");
        or(&self.long_link, pax, header.link_name).to_vec()
    }

    /// The next member's size, whose name is `name`.
    pub(super) fn size(&self, header: &Header<'_>, at: u64, name: &[u8]) -> Result<i64, Error> {
        let pax = &self.pax;
        Override { pax, at, name }.number("size", header.size)
    }

    /// Whether the next member is sparse by its PAX records; with the name that it has then, if that is another.
    pub(super) fn sparse_name(&self) -> Option<Option<&[u8]>> {
        let mut keys = self.pax.iter().map(|(key, _)| key);
        keys.any(|key| key.starts_with(b"GNU.sparse."))
            .then(|| self.pax.value(b"GNU.sparse.name"))
    }

    /// The member whose header block stands at `at`. The order is that of Go's reader: PAX over the header, GNU
    /// over PAX.
    pub(super) fn entry<'a>(
        &'a mut self,
        header: &Header<'a>,
        at: u64,
    ) -> Result<Entry<'a>, Error> {
        header.full_name(&mut self.header_name);
        // A negative size in the header is refused even where a PAX record would replace it.
        let may_have_payload = !matches!(header.flag, b'1'..=b'6');
        if may_have_payload {
            payload_bytes(at, &self.header_name, header.size)?;
        }
        let over = Override {
            pax: &self.pax,
            at,
            name: or(&self.long_name, self.pax.value(b"path"), &self.header_name),
        };
        let entry = Entry {
            name: over.name,
            kind: Kind::of(header.flag, over.name).ok_or_else(|| Error::UnsupportedFlag {
                at,
                name: shown(over.name),
                flag: header.flag.escape_ascii().to_string(),
            })?,
            payload_at: at + BLOCK_BYTES as u64,
            size: over.number("size", header.size)?,
            link_name: or(
                &self.long_link,
                self.pax.value(b"linkpath"),
                header.link_name,
            ),
            mode: header.mode,
            uid: over.number("uid", header.uid)?,
            gid: over.number("gid", header.gid)?,
            user_name: self.pax.value(b"uname").unwrap_or(header.user_name),
            group_name: self.pax.value(b"gname").unwrap_or(header.group_name),
            modified: over.time("mtime")?.unwrap_or(Timestamp {
                seconds: header.modified,
                nanos: 0,
            }),
            dev_major: header.dev_major,
            dev_minor: header.dev_minor,
            pax: &self.pax,
        };
        // No field holds these two, but the reference refuses an archive where they are no times.
        over.time("atime")?;
        over.time("ctime")?;
        match self
            .pax
            .iter()
            .find(|(key, _)| key.starts_with(b"GNU.sparse."))
        {
            None => Ok(entry),
            Some((key, _)) => Err(Error::Sparse {
                at,
                name: shown(entry.name),
                key: shown(key),
            }),
        }
    }
}

/// The values of PAX records that replace a header's fields; an empty value replaces nothing.
struct Override<'a> {
    pax: &'a Records,
    at: u64,
    name: &'a [u8],
}

impl Override<'_> {
    fn number(&self, key: &'static str, header: i64) -> Result<i64, Error> {
        match self.pax.value(key.as_bytes()) {
            None => Ok(header),
            Some(value) => str::from_utf8(value)
                .ok()
                .and_then(|text| text.parse().ok())
                .ok_or_else(|| self.wrong(key, value, "a decimal number of 64 bits")),
        }
    }

    fn time(&self, key: &'static str) -> Result<Option<Timestamp>, Error> {
        self.pax
            .value(key.as_bytes())
            .map(|value| {
                Timestamp::from_decimal(value)
                    .ok_or_else(|| self.wrong(key, value, "a decimal number of seconds"))
            })
            .transpose()
    }

    fn wrong(&self, key: &'static str, value: &[u8], wanted: &'static str) -> Error {
        Error::PaxValue {
            at: self.at,
            name: shown(self.name),
            key,
            value: shown(value),
            wanted,
        }
    }
}

/// The GNU value where there is one, else the PAX value, else the header's.
fn or<'a>(gnu: &'a [u8], pax: Option<&'a [u8]>, header: &'a [u8]) -> &'a [u8] {
    match pax {
        _ if !gnu.is_empty() => gnu,
        Some(pax) => pax,
        None => header,
    }
}

fn cut_at_nul(text: &mut Vec<u8>) {
    let end = text.iter().position(|&byte| byte == 0);
    text.truncate(end.unwrap_or(text.len()));
}
