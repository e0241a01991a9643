//! A zip with one program at its root, as the CDK makes one of an asset directory. In: name and bytes. Out: the zip, stored
//! without compression, for it is unpacked on the same machine a moment later.

use flate2::Crc;

/// `rwxr-xr-x` of a regular file, in the upper half of the external attributes.
const EXECUTABLE: u32 = 0o100_755 << 16;

/// The zip.
///
/// # Panics
/// Where the program has 4 GiB or more.
pub(super) fn archive(name: &str, bytes: &[u8]) -> Vec<u8> {
    let mut crc = Crc::new();
    crc.update(bytes);
    let size =
        u32::try_from(bytes.len()).unwrap_or_else(|_| panic!("{name} is too large for a zip"));
    let name_size = u16::try_from(name.len()).unwrap_or_else(|_| panic!("{name} is too long"));

    // From the version needed to the sizes, local header and directory say the same. 0x0021 is 1980-01-01.
    let mut shared = Vec::new();
    for field in [20u16, 0, 0, 0, 0x21] {
        shared.extend(field.to_le_bytes());
    }
    for field in [crc.sum(), size, size] {
        shared.extend(field.to_le_bytes());
    }
    shared.extend(name_size.to_le_bytes());
    shared.extend(0u16.to_le_bytes());

    let mut zip = b"PK\x03\x04".to_vec();
    zip.extend(&shared);
    zip.extend(name.as_bytes());
    zip.extend(bytes);
    let directory_at = u32::try_from(zip.len()).unwrap_or(u32::MAX);

    zip.extend(b"PK\x01\x02");
    // Made on Unix, or the permissions would mean nothing.
    zip.extend([20, 3]);
    zip.extend(&shared);
    for field in [0u16; 3] {
        zip.extend(field.to_le_bytes());
    }
    zip.extend(EXECUTABLE.to_le_bytes());
    zip.extend(0u32.to_le_bytes());
    zip.extend(name.as_bytes());
    let directory_size = u32::try_from(zip.len()).unwrap_or(u32::MAX) - directory_at;

    zip.extend(b"PK\x05\x06");
    for field in [0u16, 0, 1, 1] {
        zip.extend(field.to_le_bytes());
    }
    zip.extend(directory_size.to_le_bytes());
    zip.extend(directory_at.to_le_bytes());
    zip.extend(0u16.to_le_bytes());
    zip
}
