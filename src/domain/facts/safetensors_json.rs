//! The pieces of a safetensors header as JSON: each stops at its cap while it is read.

use std::fmt;
use std::hash::{BuildHasher, RandomState};

use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::error::cut;
use super::safetensors::{KEPT_METADATA, KEPT_OF_TEXT};

/// Dimensions of a tensor; more are an error.
const DIMENSION_LIMIT: usize = 32;

/// A tensor as the header has it.
#[derive(Deserialize)]
#[serde(expecting = "an object with dtype, shape and data_offsets")]
pub(super) struct Entry {
    pub(super) dtype: Dtype,
    pub(super) shape: Shape,
    pub(super) data_offsets: (u64, u64),
}

/// The word of a type.
pub(super) struct Dtype(pub(super) String);

impl<'de> Deserialize<'de> for Dtype {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let word = Text(KEPT_OF_TEXT).deserialize(from)?;
        let fits = (1..=24).contains(&word.len()) && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if fits { Ok(Self(word)) } else { Err(D::Error::custom("invalid dtype; expected a word such as F32 or BF16")) }
    }
}

/// The sizes of a tensor, at most `DIMENSION_LIMIT`.
pub(super) struct Shape(pub(super) Vec<u64>);

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Sizes;
        impl<'de> Visitor<'de> for Sizes {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of whole numbers")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Shape, A::Error> {
                let mut sizes = Vec::new();
                while let Some(size) = list.next_element()? {
                    if sizes.len() == DIMENSION_LIMIT {
                        return Err(A::Error::custom(format_args!(
                            "at most {DIMENSION_LIMIT} dimensions are supported"
                        )));
                    }
                    sizes.push(size);
                }
                Ok(Shape(sizes))
            }
        }
        from.deserialize_seq(Sizes)
    }
}

/// Fills the list with the entries of `__metadata__`, whose values are texts.
pub(super) struct Metadata<'a>(pub(super) &'a mut Vec<(String, String)>);

impl<'de> DeserializeSeed<'de> for Metadata<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Metadata<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings in __metadata__")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while self.0.len() < KEPT_METADATA {
            let Some(key) = map.next_key_seed(Text(KEPT_OF_TEXT))? else { return Ok(()) };
            let value = map.next_value_seed(Text(KEPT_OF_TEXT))?;
            self.0.push((key, value));
        }
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(())
    }
}

/// A name, cut, and a hash of all of it: names are told apart without being kept.
pub(super) struct Name<'a>(pub(super) &'a RandomState);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = (String, u64);

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<Self::Value, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = (String, u64);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, value: &str) -> Result<Self::Value, E> {
        Ok((cut(value, KEPT_OF_TEXT).to_owned(), self.0.hash_one(value)))
    }
}

/// A text, of which at most so many bytes are kept.
pub(super) struct Text(pub(super) usize);

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<String, D::Error> {
        from.deserialize_str(self)
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, value: &str) -> Result<String, E> {
        Ok(cut(value, self.0).to_owned())
    }
}
