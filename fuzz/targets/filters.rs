//! What a list is asked, and bodies as forms.
#![no_main]

libfuzzer_sys::fuzz_target!(|text: &str| virtapi::fuzz::filters(text));
