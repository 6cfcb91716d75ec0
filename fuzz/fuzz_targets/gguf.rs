//! The header of a GGUF file: of one that ends with the input, and of one that goes on.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelhub_fuzz::domain::facts::gguf::{Gguf, read};
use modelhub_fuzz::read_head;

fuzz_target!(|input: &[u8]| {
    read_head(input, input.len() as u64, read, Gguf::facts);
    read_head(input, u64::MAX, read, Gguf::facts);
});
