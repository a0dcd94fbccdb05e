//! libFuzzer over `tollgate_auth::fuzzing::credential`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| tollgate_auth::fuzzing::credential(bytes).expect("the promise holds"));
