//! Reports of Puppet.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| virtapi::fuzz::puppet_report(bytes));
