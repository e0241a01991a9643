//! The inflater against other hands: zlib-rs says which streams are valid and what they hold, flate2 agrees, and a
//! decoder that reads bit by bit says where blocks end and goes on from any checkpoint.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "test streams are far below 4 GiB"
)]

mod bits;
mod differential;
mod headers;
mod judges;
mod ours;
mod resume;
mod splits;
mod streams;
mod wrong;
