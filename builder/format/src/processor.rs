//! What this processor can do beyond what every one of its kind can, asked at run time.
//! Each type is the proof that certain instructions are there: whoever has a value got it from `detect`.

#[cfg(not(target_arch = "x86_64"))]
mod other;
#[cfg(target_arch = "x86_64")]
mod sha_ni;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(not(target_arch = "x86_64"))]
pub(crate) use other::{Bmi2, ShaNi};
#[cfg(target_arch = "x86_64")]
pub(crate) use x86_64::{Bmi2, ShaNi};

/// What SHA-256 takes at once.
pub(crate) type Block = [u8; 64];

/// What it keeps between two blocks.
pub(crate) type State = [u32; 8];
