//! One header block: 512 bytes in, its fields out. Reads the five layouts in use, told apart by their magic.
//! Offsets and lengths are those of POSIX.1-1988 (ustar), GNU tar and Schilling's star.

/// The unit of a tar archive.
pub(super) const BLOCK_BYTES: usize = 512;

/// One unit.
pub(super) type Block = [u8; BLOCK_BYTES];

/// What is wrong in a header block.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Problem {
    /// The sum of the bytes is another, so this is no header, or not what was written.
    #[error("checksum is {found}, expected {expected}")]
    Checksum {
        /// What the block says.
        found: String,
        /// The sum over the block, of unsigned bytes.
        expected: i64,
    },
    /// A number that is neither octal nor binary, or too large.
    #[error("{field} of {name:?} is not a valid 64-bit number: \"{found}\"")]
    Number {
        /// The member, as its header names it.
        name: String,
        /// Which number.
        field: &'static str,
        /// The bytes that are there, escaped.
        found: String,
    },
}

/// The fields of a header block; those that its layout does not have are empty or zero.
#[derive(Debug, Default)]
pub(super) struct Header<'a> {
    pub(super) flag: u8,
    name: &'a [u8],
    prefix: &'a [u8],
    pub(super) link_name: &'a [u8],
    pub(super) size: i64,
    pub(super) mode: i64,
    pub(super) uid: i64,
    pub(super) gid: i64,
    pub(super) modified: i64,
    pub(super) user_name: &'a [u8],
    pub(super) group_name: &'a [u8],
    pub(super) dev_major: i64,
    pub(super) dev_minor: i64,
}

enum Layout {
    V7,
    /// Also that of the headers in a PAX archive.
    Ustar,
    Gnu,
    Star,
}

impl Layout {
    /// The version of a ustar header is not looked at: writers disagree about it.
    fn of(block: &Block) -> Self {
        match &block[257..263] {
            b"ustar\0" if block[508..] == *b"tar\0" => Self::Star,
            b"ustar\0" => Self::Ustar,
            b"ustar " if block[263..265] == *b" \0" => Self::Gnu,
            _ => Self::V7,
        }
    }
}

impl<'a> Header<'a> {
    pub(super) fn parse(block: &'a Block) -> Result<Self, Problem> {
        check_sum(block)?;
        let name = text(&block[..100]);
        let number = |field, at: usize, bytes| {
            let bytes = &block[at..][..bytes];
            number(bytes).ok_or_else(|| Problem::Number {
                name: String::from_utf8_lossy(name).into_owned(),
                field,
                found: bytes.escape_ascii().to_string(),
            })
        };
        let mut header = Header {
            name,
            mode: number("mode", 100, 8)?,
            uid: number("uid", 108, 8)?,
            gid: number("gid", 116, 8)?,
            size: number("size", 124, 12)?,
            modified: number("mtime", 136, 12)?,
            flag: block[156],
            link_name: text(&block[157..257]),
            ..Header::default()
        };
        let layout = Layout::of(block);
        if matches!(layout, Layout::V7) {
            return Ok(header);
        }
        header.user_name = text(&block[265..297]);
        header.group_name = text(&block[297..329]);
        header.dev_major = number("devmajor", 329, 8)?;
        header.dev_minor = number("devminor", 337, 8)?;
        header.prefix = match layout {
            Layout::V7 => b"",
            Layout::Ustar => text(&block[345..500]),
            Layout::Star => {
                number("atime", 476, 12)?;
                number("ctime", 488, 12)?;
                text(&block[345..476])
            }
            Layout::Gnu => gnu_prefix(block),
        };
        Ok(header)
    }

    /// Puts the whole name, as the header has it, into `name`.
    pub(super) fn full_name(&self, name: &mut Vec<u8>) {
        name.clear();
        if !self.prefix.is_empty() {
            name.extend_from_slice(self.prefix);
            name.push(b'/');
        }
        name.extend_from_slice(self.name);
    }
}

/// GNU headers have no prefix, but atime and ctime in its place. Go before 1.8 wrote a prefix there all the same;
/// where the two are no numbers and the text is ASCII, it is taken for such a prefix, as the reference does.
fn gnu_prefix(block: &Block) -> &[u8] {
    let is_time = |field: &[u8]| field[0] == 0 || number(field).is_some();
    let prefix = text(&block[345..500]);
    if is_time(&block[345..357]) && is_time(&block[357..369]) || !prefix.is_ascii() {
        return b"";
    }
    prefix
}

/// The checksum is the sum of all bytes, its own eight taken as spaces. Old writers summed up signed bytes.
fn check_sum(block: &Block) -> Result<(), Problem> {
    const FIELD: std::ops::Range<usize> = 148..156;
    let mut summed = *block;
    summed[FIELD].fill(b' ');
    let expected: i64 = summed.iter().map(|&byte| i64::from(byte)).sum();
    let signed = || {
        summed
            .iter()
            .map(|&byte| i64::from(byte.cast_signed()))
            .sum()
    };
    let found = octal(&block[FIELD]);
    if found == Some(expected) || found == Some(signed()) {
        return Ok(());
    }
    Err(Problem::Checksum {
        found: found.map_or_else(
            || format!("\"{}\"", block[FIELD].escape_ascii()),
            |found| found.to_string(),
        ),
        expected,
    })
}

/// The field up to its first NUL.
fn text(field: &[u8]) -> &[u8] {
    let end = field.iter().position(|&byte| byte == 0);
    &field[..end.unwrap_or(field.len())]
}

/// A number in octal digits, or in base 256 where the first bit is set.
fn number(field: &[u8]) -> Option<i64> {
    match field.first() {
        Some(first) if first & 0x80 != 0 => base_256(field),
        _ => octal(field),
    }
}

/// Two's complement, most significant byte first; the first bit only marks the base, the second is the sign.
fn base_256(field: &[u8]) -> Option<i64> {
    let (first, rest) = field.split_first()?;
    let negative = first & 0x40 != 0;
    // The complement of a negative number is not negative, so both signs have one test for what fits.
    let flip = if negative { 0xff } else { 0 };
    let start = i64::from((first ^ flip) & 0x7f);
    let magnitude = rest.iter().try_fold(start, |value, byte| {
        Some(value.checked_mul(256)? | i64::from(byte ^ flip))
    })?;
    Some(if negative { !magnitude } else { magnitude })
}

/// Digits among spaces and NULs; none at all are a zero. Whatever follows a NUL inside is not read.
fn octal(field: &[u8]) -> Option<i64> {
    let is_filler = |byte: &u8| matches!(byte, b' ' | 0);
    let Some(start) = field.iter().position(|byte| !is_filler(byte)) else {
        return Some(0);
    };
    let end = field.iter().rposition(|byte| !is_filler(byte))?;
    text(&field[start..=end])
        .iter()
        .try_fold(0_i64, |value, &digit| match digit {
            b'0'..=b'7' => value.checked_mul(8)?.checked_add(i64::from(digit - b'0')),
            _ => None,
        })
}

#[cfg(test)]
mod tests;
