//! libFuzzer over `tollgate_auth::fuzzing::config`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_auth::fuzzing::config(bytes).expect("the promise holds"));
