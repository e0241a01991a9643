//! The table of contents: one entry per tar member, in order.
//! In: entries, first to last. Out: entries, last to first, which is the order in which a flatbuffer takes them.
//!
//! All entries lie in one byte arena, numbers in as few bytes as they need: a layer may have hundreds of thousands of
//! files, and a struct with six heap strings for each would take several times the ztoc's own size.

/// One member of a tar archive, as a ztoc describes it. Texts are bytes: tar does not promise UTF-8.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FileMetadata<'a> {
    /// Path of the member, as the archive spells it.
    pub name: &'a [u8],
    /// `reg`, `hardlink`, `symlink`, `dir`, `char`, `block` or `fifo`.
    pub kind: &'a [u8],
    /// Plain byte where the payload starts.
    pub offset: i64,
    /// Size that the header claims, in bytes.
    pub size: i64,
    /// Target of a link.
    pub link_name: &'a [u8],
    /// Permission bits.
    pub mode: i64,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Owner's name.
    pub user_name: &'a [u8],
    /// Group's name.
    pub group_name: &'a [u8],
    /// RFC 3339 in UTC; empty where the year does not fit.
    pub modified: &'a [u8],
    /// Device number, major.
    pub dev_major: i64,
    /// Device number, minor.
    pub dev_minor: i64,
    /// Every PAX record, in key order.
    pub xattrs: Vec<(&'a [u8], &'a [u8])>,
}

/// The entries of one layer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Toc {
    arena: Vec<u8>,
    starts: Vec<usize>,
    text_bytes: usize,
    xattrs: usize,
}

impl Toc {
    /// Appends an entry.
    pub fn push(&mut self, file: &FileMetadata<'_>) {
        self.starts.push(self.arena.len());
        self.text_bytes += file.text_bytes();
        self.xattrs += file.xattrs.len();
        for text in file.texts() {
            self.put_text(text);
        }
        for number in [
            file.offset,
            file.size,
            file.mode,
            file.dev_major,
            file.dev_minor,
        ] {
            self.put_number(number.cast_unsigned());
        }
        self.put_number(file.uid.into());
        self.put_number(file.gid.into());
        self.put_number(file.xattrs.len() as u64);
        for (key, value) in &file.xattrs {
            self.put_text(key);
            self.put_text(value);
        }
    }

    /// The entries, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = FileMetadata<'_>> + ExactSizeIterator {
        self.starts.iter().map(|&start| read(&self.arena[start..]))
    }

    /// How many entries there are.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes that the entries take in a flatbuffer at most: besides its texts an entry has six lengths with padding, a
    /// table of 14 fields, a vector and an offset; an extended attribute two lengths, a table and an offset.
    pub(super) fn flat_bytes_max(&self) -> usize {
        self.text_bytes + 224 * self.starts.len() + 56 * self.xattrs
    }

    /// Gives the last entry to `take` and forgets it; false when there is none. Memory shrinks with the entries.
    pub(super) fn pop(&mut self, take: impl FnOnce(FileMetadata<'_>)) -> bool {
        let Some(start) = self.starts.pop() else {
            return false;
        };
        take(read(&self.arena[start..]));
        self.arena.truncate(start);
        if self.arena.len() < self.arena.capacity() / 2 {
            self.arena.shrink_to_fit();
            self.starts.shrink_to_fit();
        }
        true
    }

    fn put_text(&mut self, text: &[u8]) {
        self.put_number(text.len() as u64);
        self.arena.extend(text);
    }

    /// Seven bits a byte, low ones first, the top bit says that more follow.
    fn put_number(&mut self, mut number: u64) {
        while number > 0x7f {
            self.arena.push(number.to_le_bytes()[0] | 0x80);
            number >>= 7;
        }
        self.arena.push(number.to_le_bytes()[0]);
    }
}

impl<'a> FileMetadata<'a> {
    /// Bytes that this entry takes in a flatbuffer at least, where it shares nothing with another one: its texts; a table with an
    /// offset to it, for the entry and for each extended attribute; and in the tables what is not left out.
    pub(super) fn flat_bytes_min(&self) -> usize {
        let reference = |text: &[u8]| 4 * usize::from(!text.is_empty());
        let longs = [
            self.offset,
            self.size,
            self.mode,
            self.dev_major,
            self.dev_minor,
        ];
        let longs = longs.iter().filter(|number| **number != 0).count();
        let ids = [self.uid, self.gid].iter().filter(|id| **id != 0).count();
        let texts: usize = self.texts().into_iter().map(reference).sum();
        let xattrs = self.xattrs.iter();
        let xattrs: usize = xattrs
            .map(|(key, value)| 8 + reference(key) + reference(value))
            .sum();
        8 + 8 * longs + 4 * ids + texts + xattrs + self.text_bytes()
    }

    /// Bytes of text in this entry.
    fn text_bytes(&self) -> usize {
        let xattrs = self
            .xattrs
            .iter()
            .map(|(key, value)| key.len() + value.len());
        self.texts()
            .iter()
            .map(|text| text.len())
            .chain(xattrs)
            .sum()
    }

    /// The texts that every entry has, in the order in which they are built.
    fn texts(&self) -> [&'a [u8]; 6] {
        [
            self.name,
            self.kind,
            self.link_name,
            self.user_name,
            self.group_name,
            self.modified,
        ]
    }
}

fn read(mut arena: &[u8]) -> FileMetadata<'_> {
    let bytes = &mut arena;
    let [name, kind, link_name, user_name, group_name, modified] =
        std::array::from_fn(|_| take_text(bytes));
    let [offset, size, mode, dev_major, dev_minor] =
        std::array::from_fn(|_| take_number(bytes).cast_signed());
    let [uid, gid] = std::array::from_fn(|_| {
        u32::try_from(take_number(bytes)).expect("it was stored from a u32")
    });
    let xattrs = (0..take_number(bytes))
        .map(|_| (take_text(bytes), take_text(bytes)))
        .collect();
    FileMetadata {
        name,
        kind,
        offset,
        size,
        link_name,
        mode,
        uid,
        gid,
        user_name,
        group_name,
        modified,
        dev_major,
        dev_minor,
        xattrs,
    }
}

fn take_text<'a>(arena: &mut &'a [u8]) -> &'a [u8] {
    let len = usize::try_from(take_number(arena)).expect("it was stored from a length");
    let (text, rest) = arena.split_at(len);
    *arena = rest;
    text
}

fn take_number(arena: &mut &[u8]) -> u64 {
    let mut number = 0;
    for (i, &byte) in arena.iter().enumerate() {
        number |= u64::from(byte & 0x7f) << (7 * i);
        if byte < 0x80 {
            *arena = &arena[i + 1..];
            break;
        }
    }
    number
}
