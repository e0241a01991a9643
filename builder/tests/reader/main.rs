//! Images read through their index: the right bytes, no more of them than needed, and every kind of damage found and named.
#![allow(clippy::unwrap_used, reason = "a test may fail loudly")]

mod commands;
mod damage;
mod empty_spans;
mod files;
mod flips;
mod limits;
mod ranges;
mod spans;
mod unknown;

use soci_builder::reader::{self, Reader};
use soci_format::{limits::Limits, oci::Reference};
use soci_store::{
    registry::{Client, Options},
    store::Store,
};
use soci_testing::program::indexed;

async fn open(image: &str) -> Result<Reader, reader::Error> {
    open_within(Limits::default(), image).await
}

async fn open_within(limits: Limits, image: &str) -> Result<Reader, reader::Error> {
    let reference: Reference = image.parse().unwrap();
    let client = Client::new(Options::default());
    let store = Store::open(&reference, &client, limits).unwrap();
    Reader::open(store, &reference, None).await
}

async fn read(image: &str, path: &str) -> Result<Vec<u8>, reader::Error> {
    read_file(&open(image).await?, path.as_bytes()).await
}

async fn read_file(reader: &Reader, path: &[u8]) -> Result<Vec<u8>, reader::Error> {
    let file = reader.file(path)?;
    reader.contents([file]).read().await
}
