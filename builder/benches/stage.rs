//! Runs one stage of a layer pass over a file, once, for `scripts/bench-layers` to measure from outside. It reads the file in
//! pieces, as the builder does, so that memory is that of the stage.
//!
//! In: a stage and a file. Out: how many bytes came out of it.

use std::{
    convert::Infallible,
    env,
    fs::File,
    io::{self, Read as _},
    process::ExitCode,
};

use soci_format::{
    digest::DualHasher,
    inflate::{Boundary, Gunzip, Sink, checkpoint::Checkpoints},
    tar::TarReader,
};
use zlib_rs::{Inflate, InflateFlush, Status};

const PIECE: usize = 256 << 10;
const SPAN: u64 = 4 << 20;

type Outcome = Result<u64, Box<dyn std::error::Error>>;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let [stage, path] = &arguments[..] else {
        eprintln!("usage: stage inflate|portable|zlib-rs|digests|tar FILE");
        return ExitCode::from(2);
    };
    let run: fn(File) -> Outcome = match &stage[..] {
        "inflate" => |file| inflate(Gunzip::default(), file),
        "portable" => |file| inflate(Gunzip::default().portable(), file),
        "zlib-rs" => zlib_rs,
        "digests" => digests,
        "tar" => tar,
        _ => {
            eprintln!("stage: there is no stage {stage:?}");
            return ExitCode::from(2);
        }
    };
    match File::open(path).map_err(Into::into).and_then(run) {
        Ok(bytes) => {
            #[allow(clippy::print_stdout, reason = "that is its output")]
            {
                println!("{bytes}");
            }
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("stage: {stage} of {path} failed: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Gzip to uncompressed bytes and checkpoints.
fn inflate(mut gunzip: Gunzip, mut file: File) -> Outcome {
    struct OnlyCheckpoints(Checkpoints);

    impl Sink for OnlyCheckpoints {
        type Error = Infallible;

        fn compressed(&mut self, _: &[u8]) {}

        fn uncompressed(&mut self, _: &[u8]) -> Result<(), Infallible> {
            Ok(())
        }

        fn boundary(&mut self, boundary: Boundary, window: &[u8]) {
            self.0.offer(boundary, window);
        }
    }

    let mut sink = OnlyCheckpoints(Checkpoints::new(SPAN));
    let plain = gunzip
        .run(&mut file, &mut sink)
        .map_err(|error| format!("{error:?}"))?;
    Ok(plain.0)
}

/// Gzip to uncompressed bytes, by the library that our own inflater stands for: no checkpoints.
fn zlib_rs(mut file: File) -> Outcome {
    const GZIP: u8 = 16;
    let (mut input, mut plain) = (vec![0; PIECE], vec![0; PIECE]);
    let mut member = Inflate::new(true, GZIP + 15);
    let (mut total, mut at, mut end) = (0, 0, 0);
    loop {
        if at == end {
            (at, end) = (0, file.read(&mut input)?);
            if end == 0 {
                return Ok(total);
            }
        }
        let before = (member.total_in(), member.total_out());
        let status = member
            .decompress(&input[at..end], &mut plain, InflateFlush::NoFlush)
            .map_err(|error| format!("{error:?}"))?;
        at += usize::try_from(member.total_in() - before.0)?;
        total += member.total_out() - before.1;
        if status == Status::StreamEnd {
            member = Inflate::new(true, GZIP + 15);
        }
    }
}

/// Compressed bytes to the digests of the layer and of its spans; a span of 2 MiB here.
fn digests(file: File) -> Outcome {
    let mut hashed = DualHasher::default();
    let total = pieces(file, |piece, total| {
        hashed.update(piece);
        if total % (8 * PIECE as u64) == 0 {
            hashed.cut(&[]);
        }
        Ok(())
    });
    hashed.finish();
    total
}

/// Uncompressed bytes to entries.
fn tar(file: File) -> Outcome {
    let (mut reader, mut entries) = (TarReader::new(), 0_u64);
    let total = pieces(file, |piece, _| {
        reader.push(piece, &mut |_| entries += 1)?;
        Ok(())
    });
    if entries == 0 {
        return Err("there is no entry in it".into());
    }
    total
}

fn pieces(
    mut file: File,
    mut each: impl FnMut(&[u8], u64) -> Result<(), Box<dyn std::error::Error>>,
) -> Outcome {
    let (mut piece, mut total) = (vec![0; PIECE], 0);
    loop {
        match file.read(&mut piece) {
            Ok(0) => return Ok(total),
            Ok(read) => {
                total += read as u64;
                each(&piece[..read], total)?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
    }
}
