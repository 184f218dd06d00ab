//! See `src/fuzzing/grpc.rs`.

#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| portcullis::fuzzing::grpc(data));
