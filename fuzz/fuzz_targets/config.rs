//! The JSON files that stand beside the weights. The first byte says which of them it is, the rest is the file.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelhub_fuzz::domain::facts::config::ConfigFile;
use modelhub_fuzz::{bounded, check_error, fair, use_facts};

const FILES: [ConfigFile; 6] = [
    ConfigFile::Model,
    ConfigFile::Pipeline,
    ConfigFile::Tokenizer,
    ConfigFile::Generation,
    ConfigFile::Adapter,
    ConfigFile::Mistral,
];

fuzz_target!(|input: &[u8]| {
    let Some((which, text)) = input.split_first() else { return };
    let file = FILES[usize::from(*which) % FILES.len()];
    match bounded(fair(text.len()), || file.read(text)) {
        Ok(facts) => use_facts(facts),
        Err(error) => check_error(&error, text.len() as u64),
    }
});
