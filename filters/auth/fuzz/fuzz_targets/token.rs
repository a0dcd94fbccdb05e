//! libFuzzer over `tollgate_auth::fuzzing::token`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_auth::fuzzing::token(bytes).expect("the promise holds"));
