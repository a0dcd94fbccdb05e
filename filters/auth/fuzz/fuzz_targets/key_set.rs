//! libFuzzer over `tollgate_auth::fuzzing::key_set`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_auth::fuzzing::key_set(bytes).expect("the promise holds"));
