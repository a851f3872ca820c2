//! Bodies as JSON.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| virtapi::fuzz::json(bytes));
