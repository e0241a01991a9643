//! Archives with chosen bytes in chosen places, for what no well-behaved writer writes.

pub(crate) const BLOCK: usize = 512;

/// A stream under construction.
#[derive(Clone, Default)]
pub(crate) struct Archive(pub(crate) Vec<u8>);

/// A header block: ustar, an empty regular file called `name`, all numbers zero.
#[derive(Clone)]
pub(crate) struct Head([u8; BLOCK]);

pub(crate) fn head(flag: u8, name: &str) -> Head {
    Head([0; BLOCK])
        .put(0, name.as_bytes())
        .put(156, &[flag])
        .put(257, b"ustar\x0000")
}

impl Head {
    pub(crate) fn put(mut self, at: usize, bytes: &[u8]) -> Self {
        self.0[at..][..bytes.len()].copy_from_slice(bytes);
        self
    }

    pub(crate) fn size(self, size: u64) -> Self {
        self.put(124, format!("{size:011o}\0").as_bytes())
    }

    fn sealed(mut self) -> [u8; BLOCK] {
        self.0[148..156].fill(b' ');
        let sum: u32 = self.0.iter().map(|&byte| u32::from(byte)).sum();
        self.put(148, format!("{sum:06o}\0 ").as_bytes()).0
    }
}

impl Archive {
    pub(crate) fn head(mut self, head: Head) -> Self {
        self.0.extend(head.sealed());
        self
    }

    /// Bytes as they are.
    pub(crate) fn raw(mut self, bytes: &[u8]) -> Self {
        self.0.extend(bytes);
        self
    }

    /// Bytes, filled up to whole blocks.
    pub(crate) fn payload(self, bytes: &[u8]) -> Self {
        let padding = bytes.len().next_multiple_of(BLOCK) - bytes.len();
        self.raw(bytes).raw(&vec![0; padding])
    }

    /// A header with this payload.
    pub(crate) fn member(self, flag: u8, name: &str, payload: &[u8]) -> Self {
        self.head(head(flag, name).size(payload.len() as u64))
            .payload(payload)
    }

    /// A PAX header with these records.
    pub(crate) fn pax(self, records: &[(&str, &str)]) -> Self {
        let payload: String = records
            .iter()
            .map(|(key, value)| {
                let bytes = key.len() + value.len() + 3;
                let digits = (bytes + 1).to_string().len();
                let digits = (bytes + digits).to_string().len();
                format!("{} {key}={value}\n", bytes + digits)
            })
            .collect();
        self.member(b'x', "PaxHeaders/0", payload.as_bytes())
    }

    pub(crate) fn end(self) -> Self {
        self.raw(&[0; 2 * BLOCK])
    }
}
