//! What a Xet store says of a range of a file. Memory is in proportion to what it sent.
#![no_main]

use libfuzzer_sys::fuzz_target;
use modelhub_fuzz::bounded;

#[expect(dead_code, reason = "parsing is all that is done here")]
#[path = "../../src/upstream/xet/recipe.rs"]
mod recipe;

fuzz_target!(|text: &[u8]| {
    let Some(recipe) = bounded((8 << 10) + 16 * text.len(), || recipe::Recipe::parse(text)) else { return };
    let pieces: usize = recipe.pieces.values().map(Vec::len).sum();
    assert!(recipe.terms.len() + pieces < text.len());
});
