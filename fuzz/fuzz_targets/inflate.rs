//! See `src/fuzzing/inflate.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis::fuzzing::inflate(data));
