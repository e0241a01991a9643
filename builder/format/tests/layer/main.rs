//! A whole layer, one pass: the same ztoc however its bytes arrive, spans that another hand finds again, and for what
//! cannot be indexed the reason, the place, and the digest all the same.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]
#![allow(
    clippy::cast_possible_truncation,
    reason = "test layers are far below 4 GiB"
)]

mod broken;
mod empty_spans;
mod golden;
mod kinds;
mod limits;
mod passes;
mod pieces;
mod spans;
mod tables;
