//! The proofs on x86-64, and the calls of code that is compiled for what they prove: all that needs unsafe code.

#![allow(
    unsafe_code,
    reason = "only unsafe code may call functions for instructions that not every processor has"
)]

use super::{Block, State, sha_ni};

/// Proof of shifts that set no flags, and of masks of so many bits: what a reader of bits does all the time.
#[derive(Clone, Copy)]
pub(crate) struct Bmi2(());

impl Bmi2 {
    /// None where the processor lacks any of them.
    pub(crate) fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("bmi1") && is_x86_feature_detected!("bmi2");
        is_there.then_some(Self(()))
    }

    /// Runs `code`. As far as it is inlined, it is compiled for these instructions.
    #[inline(always)]
    pub(crate) fn run<R>(self, code: impl FnOnce() -> R) -> R {
        #[target_feature(enable = "bmi1,bmi2")]
        fn compiled_for_them<R>(code: impl FnOnce() -> R) -> R {
            code()
        }
        // SAFETY: `self` came from `detect`, which has asked this processor for every feature that `compiled_for_them` is
        // compiled for. Nothing else about it is unsafe.
        unsafe { compiled_for_them(code) }
    }
}

/// Proof of instructions for the rounds of SHA-256.
#[derive(Clone, Copy)]
pub(crate) struct ShaNi(());

impl ShaNi {
    /// None where the processor lacks any of them.
    pub(crate) fn detect() -> Option<Self> {
        let is_there = is_x86_feature_detected!("sha")
            && is_x86_feature_detected!("ssse3")
            && is_x86_feature_detected!("sse4.1");
        is_there.then_some(Self(()))
    }

    /// Puts the first block of each list through the rounds, then the second, up to the end of the shorter list.
    pub(crate) fn compress(self, states: [&mut State; 2], blocks: [&[Block]; 2]) {
        // SAFETY: `self` came from `detect`, which has asked this processor for every feature that `compress` is compiled
        // for. Nothing else about it is unsafe: it takes references and uses no pointers.
        unsafe { sha_ni::compress(states, blocks) }
    }
}
