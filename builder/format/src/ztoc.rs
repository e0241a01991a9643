//! Ztocs: the table of contents of one layer with all that is needed to read any file of it without the rest.
//! In: entries, checkpoints, span digests. Out: the flatbuffer, byte for byte as the reference implementation writes it;
//! and back. Pure: no I/O.

mod flat;
mod toc;

pub use flat::OutOfBounds;
pub use toc::{FileMetadata, Toc};

use flat::{FromEnd, TableView, Writer};

use crate::{
    digest::Digest,
    inflate::checkpoint::{Zinfo, ZinfoError},
    plural::counted,
};

/// Version of the format.
pub(crate) const VERSION: &str = "0.9";
/// Bytes of another version that an error shows.
const VERSION_SHOWN: usize = 32;
/// What a ztoc says built it, unless an option says otherwise: one image has one digest, whichever tool indexed it.
pub const DEFAULT_BUILD_TOOL: &str = "AWS SOCI CLI v0.2";

/// How a layer is compressed, and so how its spans are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Compression {
    /// Spans start at checkpoints of the inflater.
    Gzip,
    /// Spans are pieces of equal size.
    Uncompressed,
}

/// All that a ztoc holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ztoc {
    /// What built it.
    pub build_tool: String,
    /// How the layer is compressed.
    pub compression: Compression,
    /// Size of the layer as stored, in bytes.
    pub compressed_size: u64,
    /// Size of the tar archive up to its end marker, in bytes.
    pub plain_size: u64,
    /// The files.
    pub toc: Toc,
    /// Serialized checkpoints.
    pub checkpoints: Vec<u8>,
    /// Digest of each span's compressed bytes.
    pub span_digests: Vec<Digest>,
    /// Number of spans, minus 1; -1 for an empty uncompressed layer.
    pub max_span_id: i32,
}

/// Bytes that are no ztoc we can use.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidZtoc {
    /// Not a flatbuffer of the form.
    #[error("not a ztoc flatbuffer")]
    Form(#[from] OutOfBounds),
    /// A version that we do not know.
    #[error("unsupported format version {0:?}, expected {VERSION:?}")]
    Version(String),
    /// A compression algorithm that we do not know.
    #[error("unknown compression algorithm {0}")]
    Compression(i8),
    /// A text that must be UTF-8 or a digest and is not.
    #[error("malformed field {0}")]
    Text(&'static str),
    /// Checkpoints that contradict themselves.
    #[error("its checkpoints are malformed")]
    Checkpoints(#[from] ZinfoError),
    /// Parts that are used many times, which no writer does: a small file could unfold to any size in memory.
    #[error("its parts are larger than the file itself")]
    SharedParts,
    /// Numbers that contradict one another.
    #[error(
        "it has {} for {}",
        counted(*.digests, "span digest", "span digests"),
        counted(*.spans, "span", "spans")
    )]
    Spans {
        /// Digests that are there.
        digests: usize,
        /// Spans that it should have.
        spans: i64,
    },
}

/// Bytes that a ztoc takes serialized, at most, with no text for what built it.
pub fn flat_bytes_max(toc: &Toc, checkpoints: usize, digests: usize) -> usize {
    // A digest is a text of 71 bytes with a length, padding and an offset; the rest is a handful of tables.
    let digests = digests.saturating_mul(84);
    (512 + toc.flat_bytes_max() + checkpoints).saturating_add(digests)
}

impl Ztoc {
    /// Bytes that it takes serialized, at most.
    pub fn size_max(&self) -> usize {
        let collected = flat_bytes_max(&self.toc, self.checkpoints.len(), self.span_digests.len());
        collected + self.build_tool.len()
    }

    /// Serializes it. The order of building decides the bytes, and is the reference implementation's.
    ///
    /// # Panics
    /// Where it takes more than [`Limits::ZTOC_BYTES`](crate::limits::Limits::ZTOC_BYTES) bytes; [`Self::size_max`] tells before.
    pub fn into_bytes(mut self) -> Vec<u8> {
        let mut out = Writer::default();
        let version = out.string(VERSION.as_bytes());
        let build_tool = out.string(self.build_tool.as_bytes());

        let mut files = Vec::with_capacity(self.toc.len());
        while self.toc.pop(|file| files.push(write_file(&mut out, &file))) {}
        files.reverse();
        let metadata = out.offsets(&files);
        drop(files);
        let mut toc = out.table(1);
        out.reference(&mut toc, 0, metadata);
        let toc = out.end_table(toc);

        let checkpoints = out.bytes(self.checkpoints);
        let digests: Vec<FromEnd> = self
            .span_digests
            .iter()
            .map(|digest| out.string(digest.to_string().as_bytes()))
            .collect();
        let digests = out.offsets(&digests);
        let mut info = out.table(4);
        out.number(&mut info, 1, self.max_span_id.to_le_bytes(), [0; 4]);
        out.reference(&mut info, 2, digests);
        out.reference(&mut info, 3, checkpoints);
        out.number(
            &mut info,
            0,
            [self.compression.code()],
            [Compression::Gzip.code()],
        );
        let info = out.end_table(info);

        let mut ztoc = out.table(6);
        out.reference(&mut ztoc, 0, version);
        out.reference(&mut ztoc, 1, build_tool);
        out.reference(&mut ztoc, 4, toc);
        out.number(&mut ztoc, 2, self.compressed_size.to_le_bytes(), [0; 8]);
        out.number(&mut ztoc, 3, self.plain_size.to_le_bytes(), [0; 8]);
        out.reference(&mut ztoc, 5, info);
        let ztoc = out.end_table(ztoc);
        out.finish(ztoc)
    }

    /// Reads a ztoc, checking all that can be checked without its layer.
    pub fn parse(bytes: &[u8]) -> Result<Self, InvalidZtoc> {
        let ztoc = TableView::root(bytes)?;
        let version = ztoc.bytes(0)?;
        if version != VERSION.as_bytes() {
            let shown = &version[..version.len().min(VERSION_SHOWN)];
            return Err(InvalidZtoc::Version(
                String::from_utf8_lossy(shown).into_owned(),
            ));
        }
        let build_tool = str::from_utf8(ztoc.bytes(1)?)
            .map_err(|_| InvalidZtoc::Text("build_tool_identifier"))?
            .to_owned();
        // What the parts take where they share nothing is taken off before they are copied.
        let mut room = Room(bytes.len());
        let info = ztoc
            .table(5)?
            .ok_or(InvalidZtoc::Text("compression_info"))?;
        let checkpoints = info.bytes(3)?;
        room.take(checkpoints.len())?;
        let mut toc = Toc::default();
        if let Some(table) = ztoc.table(4)? {
            for file in table.vector(0)?.tables() {
                read_file(&file?, &mut toc, &mut room)?;
            }
        }
        let mut span_digests = Vec::new();
        for digest in info.vector(2)?.strings() {
            let digest = digest?;
            room.take(4 + digest.len())?;
            let digest = str::from_utf8(digest).ok().and_then(|it| it.parse().ok());
            span_digests.push(digest.ok_or(InvalidZtoc::Text("span_digests"))?);
        }
        let ztoc = Self {
            build_tool,
            compression: Compression::from_code(i8::from_le_bytes(
                info.number(0, [Compression::Gzip.code()])?,
            ))?,
            compressed_size: u64::from_le_bytes(ztoc.number(2, [0; 8])?),
            plain_size: u64::from_le_bytes(ztoc.number(3, [0; 8])?),
            toc,
            checkpoints: checkpoints.to_vec(),
            span_digests,
            max_span_id: i32::from_le_bytes(info.number(1, [0; 4])?),
        };
        let spans = match ztoc.compression {
            Compression::Gzip => Zinfo::parse(&ztoc.checkpoints)?.iter().len() as i64,
            Compression::Uncompressed => TarZinfo::parse(&ztoc.checkpoints)?.spans(),
        };
        if spans != i64::from(ztoc.max_span_id) + 1 || spans != ztoc.span_digests.len() as i64 {
            return Err(InvalidZtoc::Spans {
                digests: ztoc.span_digests.len(),
                spans,
            });
        }
        Ok(ztoc)
    }

    /// The first span that has no stored or no uncompressed bytes though another one follows. Since its version 0.14 the SOCI snapshotter
    /// refuses such a ztoc and downloads the whole layer; earlier builders wrote them.
    pub fn empty_span(&self) -> Option<usize> {
        // The spans of an uncompressed layer have equal sizes.
        let zinfo = Zinfo::parse(&self.checkpoints).ok();
        let zinfo = zinfo.filter(|_| self.compression == Compression::Gzip)?;
        let starts = zinfo.iter().map(|(start, _)| start);
        let mut pairs = starts.clone().zip(starts.skip(1));
        pairs.position(|(start, end)| {
            start.first_byte() >= end.compressed_at || start.uncompressed_at >= end.uncompressed_at
        })
    }

    /// Plain byte at which each span starts.
    pub fn span_starts(&self) -> Vec<u64> {
        match self.compression {
            Compression::Gzip => Zinfo::parse(&self.checkpoints)
                .map(|zinfo| {
                    zinfo
                        .iter()
                        .map(|(boundary, _)| boundary.uncompressed_at.0)
                        .collect()
                })
                .unwrap_or_default(),
            Compression::Uncompressed => {
                let span_size =
                    TarZinfo::parse(&self.checkpoints).map_or(0, |zinfo| zinfo.span_size);
                (0..self.span_digests.len() as u64)
                    .map(|id| id * span_size)
                    .collect()
            }
        }
    }
}

/// What stands for checkpoints where a layer is not compressed.
pub struct TarZinfo {
    /// Bytes of a span.
    pub span_size: u64,
    /// Bytes of the layer.
    pub size: u64,
}

impl TarZinfo {
    /// Version of this form.
    const VERSION: i32 = 2;

    /// Serializes it.
    pub fn into_bytes(self) -> Vec<u8> {
        let mut out = Writer::default();
        let mut table = out.table(3);
        out.number(&mut table, 0, Self::VERSION.to_le_bytes(), [0; 4]);
        out.number(&mut table, 1, self.span_size.to_le_bytes(), [0; 8]);
        out.number(&mut table, 2, self.size.to_le_bytes(), [0; 8]);
        let table = out.end_table(table);
        out.finish(table)
    }

    /// Reads it back.
    pub fn parse(bytes: &[u8]) -> Result<Self, OutOfBounds> {
        let table = TableView::root(bytes)?;
        Ok(Self {
            span_size: u64::from_le_bytes(table.number(1, [0; 8])?),
            size: u64::from_le_bytes(table.number(2, [0; 8])?),
        })
    }

    /// How many spans that makes; none where a span holds nothing.
    fn spans(&self) -> i64 {
        let spans = match self.span_size {
            0 => 0,
            span_size => self.size.div_ceil(span_size),
        };
        i64::try_from(spans).unwrap_or(i64::MAX)
    }
}

impl Compression {
    fn code(self) -> u8 {
        match self {
            Self::Gzip => 1,
            Self::Uncompressed => 2,
        }
    }

    fn from_code(code: i8) -> Result<Self, InvalidZtoc> {
        match code {
            1 => Ok(Self::Gzip),
            2 => Ok(Self::Uncompressed),
            other => Err(InvalidZtoc::Compression(other)),
        }
    }
}

fn write_file(out: &mut Writer, file: &FileMetadata<'_>) -> FromEnd {
    let name = out.string(file.name);
    let kind = out.string(file.kind);
    let link_name = out.string(file.link_name);
    let user_name = out.string(file.user_name);
    let group_name = out.string(file.group_name);
    let modified = out.string(file.modified);
    let xattrs: Vec<FromEnd> = file
        .xattrs
        .iter()
        .map(|(key, value)| {
            let (key, value) = (out.string(key), out.string(value));
            let mut xattr = out.table(2);
            out.reference(&mut xattr, 0, key);
            out.reference(&mut xattr, 1, value);
            out.end_table(xattr)
        })
        .collect();
    let xattrs = out.offsets(&xattrs);

    let mut table = out.table(14);
    out.reference(&mut table, 0, name);
    out.reference(&mut table, 1, kind);
    out.number(&mut table, 2, file.offset.to_le_bytes(), [0; 8]);
    out.number(&mut table, 3, file.size.to_le_bytes(), [0; 8]);
    out.reference(&mut table, 4, link_name);
    out.number(&mut table, 5, file.mode.to_le_bytes(), [0; 8]);
    out.number(&mut table, 6, file.uid.to_le_bytes(), [0; 4]);
    out.number(&mut table, 7, file.gid.to_le_bytes(), [0; 4]);
    out.reference(&mut table, 8, user_name);
    out.reference(&mut table, 9, group_name);
    out.reference(&mut table, 10, modified);
    out.number(&mut table, 11, file.dev_major.to_le_bytes(), [0; 8]);
    out.number(&mut table, 12, file.dev_minor.to_le_bytes(), [0; 8]);
    out.reference(&mut table, 13, xattrs);
    out.end_table(table)
}

/// What is left of a ztoc's size for parts that were not read yet.
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), InvalidZtoc> {
        self.0 = self.0.checked_sub(bytes).ok_or(InvalidZtoc::SharedParts)?;
        Ok(())
    }
}

/// Reads an entry into `toc`, where there is room for it.
fn read_file(table: &TableView<'_>, toc: &mut Toc, room: &mut Room) -> Result<(), InvalidZtoc> {
    let long = |field| table.number(field, [0; 8]).map(i64::from_le_bytes);
    let id = |field| table.number(field, [0; 4]).map(u32::from_le_bytes);
    let xattrs = table
        .vector(13)?
        .tables()
        .map(|xattr| xattr.and_then(|xattr| Ok((xattr.bytes(0)?, xattr.bytes(1)?))))
        .collect::<Result<_, OutOfBounds>>()?;
    let file = FileMetadata {
        name: table.bytes(0)?,
        kind: table.bytes(1)?,
        offset: long(2)?,
        size: long(3)?,
        link_name: table.bytes(4)?,
        mode: long(5)?,
        uid: id(6)?,
        gid: id(7)?,
        user_name: table.bytes(8)?,
        group_name: table.bytes(9)?,
        modified: table.bytes(10)?,
        dev_major: long(11)?,
        dev_minor: long(12)?,
        xattrs,
    };
    room.take(file.flat_bytes_min())?;
    toc.push(&file);
    Ok(())
}
