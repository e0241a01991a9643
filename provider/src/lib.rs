//! Event in, one answer out.
