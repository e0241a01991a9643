//! The tar parser against other hands: the reference's own tables of contents, the `tar` crate, and itself on the
//! same bytes in other pieces; and every rule that no well-behaved archive shows.

mod archive;
mod golden;
mod rules;
mod splits;
mod toc;
mod writer;
