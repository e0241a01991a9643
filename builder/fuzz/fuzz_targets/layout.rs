#![no_main]

#[allow(dead_code, unused_imports, reason = "each target calls one of them")]
#[path = "../checks/mod.rs"]
mod checks;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| checks::layout(bytes));
