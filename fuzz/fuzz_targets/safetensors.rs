//! The header of a safetensors file.
//!
//! The input is read twice: as a file, and, its first two bytes aside, as the header of one that has so many bytes of
//! values. Otherwise nearly every change would break the length that stands before the header.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelhub_fuzz::domain::facts::ModelFacts;
use modelhub_fuzz::domain::facts::safetensors::{Safetensors, read};
use modelhub_fuzz::read_head;

fn facts(file: &Safetensors) -> ModelFacts {
    file.facts(None);
    file.facts(Some(4))
}

fuzz_target!(|input: &[u8]| {
    read_head(input, input.len() as u64, read, facts);
    let Some((values, header)) = input.split_first_chunk() else { return };
    let file = [&(header.len() as u64).to_le_bytes(), header].concat();
    read_head(&file, file.len() as u64 + u64::from(u16::from_le_bytes(*values)), read, facts);
});
