//! The frame of a gzip member (RFC 1952): header and trailer.
//! In: single bytes. Out: "complete", or what is wrong. Frames are a few bytes in many thousands: no need for speed.

use super::fault::Fault;

const EXTRA: u8 = 1 << 2;
const NAME: u8 = 1 << 3;
const COMMENT: u8 = 1 << 4;
const HEADER_CHECKSUM: u8 = 1 << 1;
const RESERVED: u8 = 0xe0;

/// The two bytes that every gzip member starts with.
pub(crate) const MAGIC: [u8; 2] = [0x1f, 0x8b];

/// Reads a member's header byte by byte.
#[derive(Default)]
pub(super) struct Header {
    checksum: crc32fast::Hasher,
    flags: u8,
    at: Field,
}

#[derive(Clone, Copy, Default)]
enum Field {
    #[default]
    Start,
    /// This many of the ten fixed bytes were read.
    Fixed(u8),
    ExtraLength(Option<u8>),
    Extra(u16),
    Name,
    Comment,
    Checksum(Option<u8>),
    Complete,
}

impl Header {
    /// Whether no byte was taken yet.
    pub(super) fn is_empty(&self) -> bool {
        matches!(self.at, Field::Start)
    }

    /// Takes the next byte; true when it was the header's last.
    pub(super) fn push(&mut self, byte: u8) -> Result<bool, Fault> {
        let next = match self.at {
            Field::Start if byte == MAGIC[0] => Field::Fixed(1),
            Field::Fixed(1) if byte == MAGIC[1] => Field::Fixed(2),
            Field::Start | Field::Fixed(1) => return Err(Fault::NotGzip),
            Field::Fixed(2) if byte != 8 => return Err(Fault::Method),
            Field::Fixed(3) if byte & RESERVED != 0 => return Err(Fault::HeaderFlags),
            Field::Fixed(n) => {
                if n == 3 {
                    self.flags = byte;
                }
                if n == 9 {
                    self.after(Field::Fixed(9))
                } else {
                    Field::Fixed(n + 1)
                }
            }
            Field::ExtraLength(None) => Field::ExtraLength(Some(byte)),
            Field::ExtraLength(Some(low)) => match u16::from_le_bytes([low, byte]) {
                0 => self.after(Field::Extra(0)),
                length => Field::Extra(length),
            },
            Field::Extra(1) => self.after(Field::Extra(0)),
            Field::Extra(left) => Field::Extra(left - 1),
            Field::Name | Field::Comment if byte == 0 => self.after(self.at),
            Field::Name | Field::Comment => self.at,
            Field::Checksum(None) => Field::Checksum(Some(byte)),
            Field::Checksum(Some(low)) => {
                if u32::from(u16::from_le_bytes([low, byte]))
                    != self.checksum.clone().finalize() & 0xffff
                {
                    return Err(Fault::HeaderChecksum);
                }
                Field::Complete
            }
            Field::Complete => Field::Complete,
        };
        if !matches!(self.at, Field::Checksum(_)) {
            self.checksum.update(&[byte]);
        }
        self.at = next;
        Ok(matches!(next, Field::Complete))
    }

    /// The field that follows `done`, which is the first of the remaining ones that the flags announce.
    fn after(&self, done: Field) -> Field {
        let has = |flag| self.flags & flag != 0;
        match done {
            Field::Fixed(_) if has(EXTRA) => Field::ExtraLength(None),
            Field::Fixed(_) | Field::Extra(_) if has(NAME) => Field::Name,
            Field::Fixed(_) | Field::Extra(_) | Field::Name if has(COMMENT) => Field::Comment,
            _ if has(HEADER_CHECKSUM) => Field::Checksum(None),
            _ => Field::Complete,
        }
    }
}

/// Reads a member's trailer: CRC-32 and length of its uncompressed bytes.
pub(super) struct Trailer {
    /// What it must say, where that is known.
    expected: Option<(u32, u64)>,
    bytes: [u8; 8],
    read: usize,
}

impl Trailer {
    /// A trailer that must say this checksum and length.
    pub(super) fn of(expected: Option<(u32, u64)>) -> Self {
        Self {
            expected,
            bytes: [0; 8],
            read: 0,
        }
    }

    /// Takes the next byte. After the eighth, compares with what the member really held; true when that was well.
    pub(super) fn push(&mut self, byte: u8) -> Result<bool, Fault> {
        self.bytes[self.read] = byte;
        self.read += 1;
        let [c0, c1, c2, c3, l0, l1, l2, l3] = self.bytes;
        if let Some((checksum, plain_length)) = self.expected {
            if self.read == 4 && u32::from_le_bytes([c0, c1, c2, c3]) != checksum {
                return Err(Fault::Checksum);
            }
            // The field holds the length modulo 2^32 (RFC 1952, 2.3.1).
            let length = u64::from(u32::from_le_bytes([l0, l1, l2, l3]));
            if self.read == 8 && length != plain_length & 0xffff_ffff {
                return Err(Fault::Length);
            }
        }
        Ok(self.read == 8)
    }
}
