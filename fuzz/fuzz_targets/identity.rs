//! See `src/fuzzing/identity.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis::fuzzing::identity(data));
