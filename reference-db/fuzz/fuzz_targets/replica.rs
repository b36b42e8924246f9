//! The entry `replica`; what it does stands with the seeded test.

#![no_main]

#[path = "../../tests/any_input/entries.rs"]
mod entries;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| entries::run("replica", bytes));
