//! See `src/fuzzing/crl.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis::fuzzing::crl(data));
