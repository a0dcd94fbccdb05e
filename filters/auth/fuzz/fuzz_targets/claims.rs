//! libFuzzer over `tollgate_auth::fuzzing::claims`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_auth::fuzzing::claims(bytes).expect("the promise holds"));
