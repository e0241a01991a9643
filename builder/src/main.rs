//! The program `soci-builder`.

fn main() {}
