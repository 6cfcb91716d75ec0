//! What the store is to keep of itself, as it is written in the settings.

use std::time::Duration;

use serde::Deserialize as _;
use serde::de::IntoDeserializer as _;
use serde::de::value::{Error, StrDeserializer};

use super::check::{Wrong, fail};
use super::{Size, Span, Store};
use crate::domain::{Expiry, KeepFree, Keeping, NamePattern};

/// The settings that say what is kept.
pub(super) const KEEPING: [&str; 5] =
    ["store.keep_free", "store.keep_used", "store.pin", "store.never", "store.expire"];

impl Store {
    /// What is kept; the default if a setting is wrong, which `check` has refused.
    pub fn keeping(&self) -> Keeping {
        self.read_keeping().unwrap_or_default()
    }

    pub(super) fn read_keeping(&self) -> Result<Keeping, Wrong> {
        Ok(Keeping {
            keep_free: keep_free(&self.keep_free)?,
            keep_used: self.keep_used.duration(),
            pinned: patterns("store.pin", &self.pin)?,
            never_stored: patterns("store.never", &self.never)?,
            expiries: self.expire.iter().map(|text| expiry(text)).collect::<Result<_, _>>()?,
        })
    }
}

/// A size, a percentage, or both.
fn keep_free(text: &str) -> Result<KeepFree, Wrong> {
    let mut keep = KeepFree::default();
    for part in text.split(',').map(str::trim) {
        let percent = part.strip_suffix('%').map(|number| number.trim().parse().ok().filter(|percent| *percent < 100));
        match (percent, percent.is_none().then(|| size(part)).flatten()) {
            (Some(Some(percent)), _) => keep.percent = percent,
            (_, Some(bytes)) => keep.bytes = bytes,
            _ => {
                let rule =
                    "expected a size, a percentage below 100, or both, such as \"50GiB\", \"5%\" or \"5%, 50GiB\"";
                return fail("store.keep_free", format!("store.keep_free is `{text}`; {rule}"));
            }
        }
    }
    Ok(keep)
}

fn patterns(key: &'static str, texts: &[String]) -> Result<Vec<NamePattern>, Wrong> {
    texts.iter().map(|text| pattern(key, text)).collect()
}

fn pattern(key: &'static str, text: &str) -> Result<NamePattern, Wrong> {
    NamePattern::parse(text).or_else(|error| fail(key, format!("{key}: {error}")))
}

/// `org/tmp-* 30d`.
fn expiry(text: &str) -> Result<Expiry, Wrong> {
    const KEY: &str = "store.expire";
    let after = text.trim().rsplit_once(char::is_whitespace).and_then(|(models, after)| Some((models, span(after)?)));
    match after {
        Some((models, after)) if !after.is_zero() => Ok(Expiry { models: pattern(KEY, models.trim())?, after }),
        _ => fail(KEY, format!("{KEY} contains `{text}`; expected models and a time, such as \"org/tmp-* 30d\"")),
    }
}

fn size(text: &str) -> Option<u64> {
    let text: StrDeserializer<'_, Error> = text.into_deserializer();
    Size::deserialize(text).ok().map(Size::bytes)
}

fn span(text: &str) -> Option<Duration> {
    let text: StrDeserializer<'_, Error> = text.into_deserializer();
    Span::deserialize(text).ok().map(Span::duration)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn space_that_stays_free_is_a_size_or_a_share_or_both() {
        let read = |text: &str| keep_free(text).ok().map(|keep| (keep.bytes, keep.percent));
        assert_eq!(read("0"), Some((0, 0)));
        assert_eq!(read("50GiB"), Some((50 << 30, 0)));
        assert_eq!(read("5%"), Some((0, 5)));
        assert_eq!(read("5 %, 1GiB"), Some((1 << 30, 5)));
        for wrong in ["", "100%", "-1%", "5", "5 percent", "5%,", "x"] {
            let is_bytes = wrong == "5";
            assert_eq!(read(wrong).is_some(), is_bytes, "{wrong}");
        }
    }

    #[test]
    fn an_expiry_is_models_and_a_time() {
        let read = expiry("org/tmp-*  30d").ok().unwrap();
        assert_eq!((read.models.as_str(), read.after.as_secs()), ("org/tmp-*", 30 * 86_400));
        for wrong in ["org/a", "30d", "org/a 0s", "org/a b 3d", "org/a 3"] {
            assert!(expiry(wrong).is_err(), "{wrong}");
        }
    }
}
