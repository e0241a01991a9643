//! Flatbuffers, as far as ztocs need them: tables, strings and vectors.
//! The writer goes from the end of the buffer to its start, as the reference's library does, so that equal contents give
//! equal bytes; the reader checks every offset against the buffer. Neither knows what the tables mean.
//!
//! Own code because of memory: the checkpoints are nearly all of a ztoc, and every library copies them into its buffer.
//! Here they stay where they were collected, and the rest is put around them.

/// An offset counted from the end of the finished buffer, so that it stays true while the buffer grows at its front.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct FromEnd(usize);

/// Writes a buffer from its end to its start.
#[derive(Default)]
pub(super) struct Writer {
    /// What is written so far, last byte first.
    reversed: Vec<u8>,
    /// Bytes behind those of `reversed`, already in their final form.
    behind: Vec<u8>,
    /// Every distinct vtable: distance of each field from its table, and where the vtable stands.
    vtables: Vec<(Vec<u16>, FromEnd)>,
    strictest_alignment: usize,
}

/// A table that is being written.
pub(super) struct Table {
    fields: Vec<FromEnd>,
    end: usize,
}

impl Writer {
    fn len(&self) -> usize {
        self.behind.len() + self.reversed.len()
    }

    /// Pads so that `size` bytes, written after `others`, are aligned to their size.
    fn align(&mut self, size: usize, others: usize) {
        self.strictest_alignment = self.strictest_alignment.max(size);
        let padding = (self.len() + others).wrapping_neg() & (size - 1);
        self.reversed.extend(std::iter::repeat_n(0, padding));
    }

    fn put(&mut self, little_endian: &[u8]) {
        self.align(little_endian.len(), 0);
        self.place(little_endian);
    }

    fn place(&mut self, bytes: &[u8]) {
        self.reversed.extend(bytes.iter().rev());
    }

    fn put_offset(&mut self, target: FromEnd) {
        self.align(4, 0);
        let relative = self.len() - target.0 + 4;
        self.place(&length(relative));
    }

    /// A string: length, bytes, and a zero that the length does not count.
    pub(super) fn string(&mut self, text: &[u8]) -> FromEnd {
        self.align(4, text.len() + 1);
        self.place(&[0]);
        self.place(text);
        self.place(&length(text.len()));
        FromEnd(self.len())
    }

    /// A vector of offsets to strings or tables.
    pub(super) fn offsets(&mut self, targets: &[FromEnd]) -> FromEnd {
        self.align(4, 4 * targets.len());
        for &target in targets.iter().rev() {
            self.put_offset(target);
        }
        self.place(&length(targets.len()));
        FromEnd(self.len())
    }

    /// A vector of bytes, taken as it is: all that was written so far moves behind it.
    pub(super) fn bytes(&mut self, mut bytes: Vec<u8>) -> FromEnd {
        self.align(4, bytes.len());
        let count = bytes.len();
        self.reversed.reverse();
        let mut behind = std::mem::take(&mut self.reversed);
        behind.append(&mut self.behind);
        // Whichever is the larger one stays where it is.
        self.behind = if bytes.len() < behind.len() {
            behind.splice(0..0, bytes);
            behind
        } else {
            bytes.reserve_exact(behind.len());
            bytes.append(&mut behind);
            bytes
        };
        self.place(&length(count));
        FromEnd(self.len())
    }

    pub(super) fn table(&self, fields: usize) -> Table {
        Table {
            fields: vec![FromEnd(0); fields],
            end: self.len(),
        }
    }

    /// Adds a number to `table`; one equal to its default is left out.
    pub(super) fn number<const N: usize>(
        &mut self,
        table: &mut Table,
        field: usize,
        value: [u8; N],
        default: [u8; N],
    ) {
        if value != default {
            self.put(&value);
            table.fields[field] = FromEnd(self.len());
        }
    }

    /// Adds an offset to `table`.
    pub(super) fn reference(&mut self, table: &mut Table, field: usize, target: FromEnd) {
        self.put_offset(target);
        table.fields[field] = FromEnd(self.len());
    }

    /// Ends a table: its vtable is written behind it unless an equal one is there already.
    pub(super) fn end_table(&mut self, mut table: Table) -> FromEnd {
        self.put(&[0; 4]);
        let at = FromEnd(self.len());
        while table.fields.last().is_some_and(|field| field.0 == 0) {
            table.fields.pop();
        }
        let fields: Vec<u16> = table
            .fields
            .iter()
            .map(|field| {
                if field.0 == 0 {
                    0
                } else {
                    short(at.0 - field.0)
                }
            })
            .collect();
        let known = self
            .vtables
            .iter()
            .rev()
            .find(|(of, _)| *of == fields)
            .map(|&(_, vtable)| vtable);
        let vtable = known.unwrap_or_else(|| {
            for field in fields.iter().rev() {
                self.put(&field.to_le_bytes());
            }
            self.put(&short(at.0 - table.end).to_le_bytes());
            self.put(&short(2 * (fields.len() + 2)).to_le_bytes());
            let vtable = FromEnd(self.len());
            self.vtables.push((fields, vtable));
            vtable
        });
        let distance =
            i32::try_from(vtable.0 as i64 - at.0 as i64).expect("a ztoc is far below 2 GiB");
        let position = at.0 - self.behind.len();
        self.reversed[position - 4..position].copy_from_slice(&distance.to_be_bytes());
        at
    }

    /// The finished buffer.
    pub(super) fn finish(mut self, root: FromEnd) -> Vec<u8> {
        self.align(self.strictest_alignment, 4);
        self.put_offset(root);
        self.reversed.reverse();
        let mut buffer = self.behind;
        buffer.reserve_exact(self.reversed.len());
        buffer.splice(0..0, self.reversed);
        buffer
    }
}

fn length(bytes: usize) -> [u8; 4] {
    u32::try_from(bytes)
        .expect("a ztoc is far below 4 GiB")
        .to_le_bytes()
}

fn short(distance: usize) -> u16 {
    u16::try_from(distance).expect("the tables of a ztoc are a few dozen bytes")
}

/// A buffer that is no flatbuffer of the expected form.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the flatbuffer points outside itself at byte {0}")]
pub struct OutOfBounds(usize);

/// A table in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct TableView<'a> {
    buffer: &'a [u8],
    at: usize,
    vtable: &'a [u8],
}

/// A vector of offsets in a buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct VectorView<'a> {
    buffer: &'a [u8],
    at: usize,
    len: usize,
}

impl<'a> TableView<'a> {
    /// The root table.
    pub(super) fn root(buffer: &'a [u8]) -> Result<Self, OutOfBounds> {
        Self::at(buffer, follow(buffer, 0)?)
    }

    fn at(buffer: &'a [u8], at: usize) -> Result<Self, OutOfBounds> {
        let back = i32::from_le_bytes(array(buffer, at)?);
        let vtable_at =
            usize::try_from(at as i64 - i64::from(back)).map_err(|_| OutOfBounds(at))?;
        let size = usize::from(u16::from_le_bytes(array(buffer, vtable_at)?));
        let vtable = buffer
            .get(vtable_at..vtable_at + size)
            .filter(|_| size >= 4)
            .ok_or(OutOfBounds(vtable_at))?;
        Ok(Self { buffer, at, vtable })
    }

    fn field(&self, field: usize) -> Option<usize> {
        let entry = self.vtable.get(4 + 2 * field..6 + 2 * field)?;
        match u16::from_le_bytes([entry[0], entry[1]]) {
            0 => None,
            offset => Some(self.at + usize::from(offset)),
        }
    }

    pub(super) fn number<const N: usize>(
        &self,
        field: usize,
        default: [u8; N],
    ) -> Result<[u8; N], OutOfBounds> {
        self.field(field)
            .map_or(Ok(default), |at| array(self.buffer, at))
    }

    /// A string or a vector of bytes; empty where it is absent.
    pub(super) fn bytes(&self, field: usize) -> Result<&'a [u8], OutOfBounds> {
        self.field(field).map_or(Ok(&[]), |at| {
            bytes_at(self.buffer, follow(self.buffer, at)?)
        })
    }

    pub(super) fn table(&self, field: usize) -> Result<Option<Self>, OutOfBounds> {
        self.field(field)
            .map(|at| Self::at(self.buffer, follow(self.buffer, at)?))
            .transpose()
    }

    /// A vector of offsets; empty where it is absent.
    pub(super) fn vector(&self, field: usize) -> Result<VectorView<'a>, OutOfBounds> {
        let Some(at) = self.field(field) else {
            return Ok(VectorView {
                buffer: self.buffer,
                at: 0,
                len: 0,
            });
        };
        let at = follow(self.buffer, at)?;
        let len = u32::from_le_bytes(array(self.buffer, at)?) as usize;
        let end = len
            .checked_mul(4)
            .and_then(|bytes| bytes.checked_add(at + 4));
        match end {
            Some(end) if end <= self.buffer.len() => Ok(VectorView {
                buffer: self.buffer,
                at: at + 4,
                len,
            }),
            _ => Err(OutOfBounds(at)),
        }
    }
}

impl<'a> VectorView<'a> {
    pub(super) fn tables(self) -> impl Iterator<Item = Result<TableView<'a>, OutOfBounds>> {
        (0..self.len)
            .map(move |i| TableView::at(self.buffer, follow(self.buffer, self.at + 4 * i)?))
    }

    pub(super) fn strings(self) -> impl Iterator<Item = Result<&'a [u8], OutOfBounds>> {
        (0..self.len).map(move |i| bytes_at(self.buffer, follow(self.buffer, self.at + 4 * i)?))
    }
}

fn array<const N: usize>(buffer: &[u8], at: usize) -> Result<[u8; N], OutOfBounds> {
    buffer
        .get(at..)
        .and_then(|rest| rest.first_chunk())
        .copied()
        .ok_or(OutOfBounds(at))
}

/// Where the offset stored at `at` leads.
fn follow(buffer: &[u8], at: usize) -> Result<usize, OutOfBounds> {
    let target = at + u32::from_le_bytes(array(buffer, at)?) as usize;
    if target < buffer.len() {
        Ok(target)
    } else {
        Err(OutOfBounds(at))
    }
}

fn bytes_at(buffer: &[u8], at: usize) -> Result<&[u8], OutOfBounds> {
    let len = u32::from_le_bytes(array(buffer, at)?) as usize;
    at.checked_add(4 + len)
        .and_then(|end| buffer.get(at + 4..end))
        .ok_or(OutOfBounds(at))
}
