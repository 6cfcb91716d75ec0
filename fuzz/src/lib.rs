//! What the targets share: the parsers, and what each of them promises.
//!
//! The parsers are compiled from their own files and without the hub around them: that takes seconds, and
//! coverage counts nothing else. A target says in its first lines what it promises besides not to panic; what
//! breaks a promise becomes an ordinary test beside the parser.

mod heap;

#[path = "../../src/domain/mod.rs"]
pub mod domain;

use domain::facts::{FactsError, ModelFacts, Reading};
pub use heap::bounded;

/// Memory for an input of this length, whatever numbers it holds: an item of one byte becomes a value of some fifty,
/// in a list that is twice as long as it needs to be.
pub fn fair(length: usize) -> usize {
    (64 << 10) + 128 * length
}

/// Reads the head of a file of `size` bytes, of which `bytes` are the beginning. Memory is fair; half of the bytes tell
/// the same or ask for more; facts that were found can be used.
pub fn read_head<T>(
    bytes: &[u8],
    size: u64,
    read: impl Fn(&[u8], u64) -> Result<Reading<T>, FactsError>,
    facts: impl Fn(&T) -> ModelFacts,
) {
    let facts_of = |bytes: &[u8]| match read(bytes, size) {
        Ok(Reading::Done(found)) => Ok(Reading::Done(facts(&found))),
        Ok(Reading::NeedMore(more)) => Ok(Reading::NeedMore(more)),
        Err(error) => Err(error),
    };
    let whole = bounded(fair(bytes.len()), || facts_of(bytes));
    let half = &bytes[..bytes.len() / 2];
    match facts_of(half) {
        Ok(Reading::NeedMore(more)) => assert!(more > half.len() as u64 && more <= size, "{more} of {size}"),
        early => assert_eq!(early, whole, "half of the bytes told something else"),
    }
    match whole {
        Ok(Reading::NeedMore(more)) => assert!(more > bytes.len() as u64 && more <= size, "{more} of {size}"),
        Ok(Reading::Done(facts)) => use_facts(facts),
        Err(error) => check_error(&error, size),
    }
}

/// Facts are merged, estimated, stored and read again.
pub fn use_facts(mut facts: ModelFacts) {
    facts.merge(facts.clone());
    for context in [1, u64::MAX] {
        let _ = facts.memory_estimate(context, 3).map(|estimate| (estimate.total(), estimate.fits(1, u64::MAX)));
    }
    let text = serde_json::to_string(&facts).unwrap();
    assert_eq!(serde_json::from_str::<ModelFacts>(&text).unwrap(), facts);
}

/// An error names a place in the file, and is a short text that may go into logs and pages.
pub fn check_error(error: &FactsError, size: u64) {
    assert!(error.at() <= size, "{error} in {size} bytes");
    let text = error.to_string();
    assert!(!text.contains(char::is_control) && text.len() < 1200, "{text:?}");
}
