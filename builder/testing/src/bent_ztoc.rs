//! Flatbuffers that are bent on purpose: many offsets that point at one thing.
//! In: the bytes of a ztoc. Out: the same bytes, with other offsets in a vector.

fn u32_at(bytes: &[u8], at: usize) -> usize {
    u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) as usize
}

/// Where the root table is.
fn root(bytes: &[u8]) -> usize {
    u32_at(bytes, 0)
}

/// Where a table's field `number` leads.
fn field(bytes: &[u8], table: usize, number: usize) -> usize {
    let back = i32::from_le_bytes(bytes[table..table + 4].try_into().unwrap());
    let entry = usize::try_from(table as i64 - i64::from(back)).unwrap() + 4 + 2 * number;
    let at = table + usize::from(u16::from_le_bytes([bytes[entry], bytes[entry + 1]]));
    at + u32_at(bytes, at)
}

/// The vector of a ztoc's entries.
pub fn files(bytes: &[u8]) -> usize {
    field(bytes, field(bytes, root(bytes), 4), 0)
}

/// The vector of the first entry's extended attributes.
pub fn attributes(bytes: &[u8]) -> usize {
    let files = files(bytes);
    field(bytes, files + 4 + u32_at(bytes, files + 4), 13)
}

/// Lets all offsets of a vector lead where its first one does.
pub fn share_the_first(mut bytes: Vec<u8>, vector: fn(&[u8]) -> usize) -> Vec<u8> {
    let vector = vector(&bytes);
    let first = vector + 4 + u32_at(&bytes, vector + 4);
    for i in 0..u32_at(&bytes, vector) {
        let at = vector + 4 + 4 * i;
        bytes[at..at + 4].copy_from_slice(&u32::try_from(first - at).unwrap().to_le_bytes());
    }
    bytes
}
