//! The other inflaters.

use std::io::Read as _;

use zlib_rs::{Inflate, InflateFlush, Status};

/// zlib's verdict on a gzip stream of any number of members: its uncompressed bytes, or nothing when it is wrong.
pub(crate) fn zlib(mut stream: &[u8]) -> Option<Vec<u8>> {
    const GZIP: u8 = 16;
    let mut plain = Vec::new();
    let mut piece = vec![0; 64 * 1024];
    loop {
        let mut member = Inflate::new(true, GZIP + 15);
        loop {
            let before = (member.total_in(), member.total_out());
            let status = member
                .decompress(stream, &mut piece, InflateFlush::NoFlush)
                .ok()?;
            stream = &stream[(member.total_in() - before.0) as usize..];
            plain.extend(&piece[..(member.total_out() - before.1) as usize]);
            match status {
                Status::StreamEnd if stream.is_empty() => return Some(plain),
                Status::StreamEnd => break,
                // Neither input nor output moved: it waits for bytes that never come.
                _ if before == (member.total_in(), member.total_out()) => return None,
                _ => {}
            }
        }
    }
}

/// flate2's uncompressed bytes of a valid stream.
pub(crate) fn flate2(stream: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    flate2::read::MultiGzDecoder::new(stream)
        .read_to_end(&mut plain)
        .expect("flate2 finds it valid");
    plain
}
