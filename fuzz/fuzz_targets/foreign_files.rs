#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| hookyard_corpora::foreign_files(data));
