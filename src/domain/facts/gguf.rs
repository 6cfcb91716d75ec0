//! The header of a GGUF file, versions 1 to 3: what it says of the model, and its tensors.
//!
//! Layout (ggml, `docs/gguf.md`): magic, version, two counts; pairs of key and value; tensors with
//! their shape, type and offset; values from the next multiple of the alignment. Steps: the fixed
//! part, all pairs, all tensors, then whether the tensors lie within the file. Where the given
//! beginning ends, `NeedMore` asks for at least twice as much, so that starting anew costs little.
//!
//! Nothing is allocated by a count of the file: lists grow with the bytes that are there, and what
//! is kept of names and texts shares one budget (`KEPT_BYTES`); past it, entries are checked
//! and counted only.

use super::error::{cut, printable};
use super::gguf_cursor::{Cursor, FILE, Stop};
use super::{FactsError, Reading, add_count, ggml};

/// Bytes of a header. Vocabularies and merges make real ones up to some 20 MiB long.
pub const HEADER_LIMIT: u64 = 128 << 20;
/// More of these is an error.
pub const PAIR_LIMIT: u64 = 100_000;
pub const TENSOR_LIMIT: u64 = 1_000_000;
pub const LIST_LIMIT: u64 = 10_000_000;
/// Bytes of a text, of a key (`docs/gguf.md`), of a tensor's name.
pub const TEXT_LIMIT: u64 = 10_000_000;
const KEY_LIMIT: u64 = 65_535;
const NAME_LIMIT: u64 = 4096;
/// Lists inside lists; dimensions of a tensor (llama.cpp itself stops at 4).
const NESTING_LIMIT: u32 = 4;
const DIMENSION_LIMIT: u32 = 8;
/// Bytes that are kept of all keys, values and tensors together, roughly.
pub const KEPT_BYTES: u64 = 4 << 20;
/// Bytes that are kept of a text, and of a text in a list.
const KEPT_OF_TEXT: usize = 16 << 10;
const KEPT_OF_ITEM: usize = 64;
/// Items that are kept of a list: of numbers (one per layer, at most), and of all else.
const KEPT_NUMBERS: u64 = 512;
const KEPT_ITEMS: u64 = 4;
/// What a kept entry costs besides its text.
const ENTRY_BYTES: u64 = 128;
/// The least that `NeedMore` asks for, unless the file is shorter.
const FIRST_BYTES: u64 = 64 << 10;

/// What a header says.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Gguf {
    pub version: u32,
    /// Pairs of key and value, in the order of the file, as far as they are kept.
    pub metadata: Vec<(String, Value)>,
    pub metadata_count: u64,
    /// Tensors in the order of the file, as far as they are kept.
    pub tensors: Vec<Tensor>,
    pub tensor_count: u64,
    /// Elements by type, over all tensors; of at most 64 types.
    pub types: Vec<(String, u64)>,
    /// Elements of all tensors.
    pub parameters: u64,
    /// Bytes of all tensors, without padding; `None` if one has a type that is not known here.
    pub bytes: Option<u64>,
    /// Where the values begin in the file.
    pub data_offset: u64,
}

/// A value of the metadata, summarised where it is long.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    Unsigned(u64),
    Signed(i64),
    Float(f64),
    Bool(bool),
    /// The beginning of a text, and its length in bytes.
    Text {
        start: String,
        length: u64,
    },
    /// A list: what its items are (`uint32`, `text`), how many, and the first of them.
    List {
        item: &'static str,
        count: u64,
        first: Vec<Value>,
    },
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    /// As ggml writes it: the fastest dimension first.
    pub shape: Vec<u64>,
    /// `Q4_K`; `type 99` for a number that is not known here.
    pub kind: String,
    /// From the beginning of the values.
    pub offset: u64,
    /// `None` for a type that is not known here.
    pub bytes: Option<u64>,
}

/// Reads the header from the beginning of a file of `file_size` bytes. Errors: it is not GGUF, it
/// is of another version or byte order, cut off, past a cap, or a tensor lies outside the file.
pub fn read(prefix: &[u8], file_size: u64) -> Result<Reading<Gguf>, FactsError> {
    let mut reader = Reader { cursor: Cursor::new(prefix, file_size), budget: KEPT_BYTES, found: Gguf::default() };
    match reader.header() {
        Ok(()) => Ok(Reading::Done(reader.found)),
        Err(Stop::Wrong(error)) => Err(error),
        Err(Stop::More(end)) => {
            let wanted = end.max(2 * prefix.len() as u64).max(FIRST_BYTES);
            Ok(Reading::NeedMore(wanted.min(file_size).min(HEADER_LIMIT)))
        }
    }
}

struct Reader<'a> {
    cursor: Cursor<'a>,
    /// What is left of `KEPT_BYTES`.
    budget: u64,
    found: Gguf,
}

impl Reader<'_> {
    fn header(&mut self) -> Result<(), Stop> {
        let tensors = self.fixed_part()?;
        for _ in 0..self.found.metadata_count {
            self.pair()?;
        }
        let alignment = self.alignment()?;
        self.tensors(tensors, alignment)
    }

    /// Magic, version and counts. Gives the number of tensors.
    fn fixed_part(&mut self) -> Result<u64, Stop> {
        let magic = self.cursor.take(4)?;
        if magic != b"GGUF" {
            let wrong = format!("unexpected magic `{}`", printable(&String::from_utf8_lossy(magic), 16));
            return Err(FactsError::new(FILE, 0, wrong, "expected `GGUF`").into());
        }
        let version = self.cursor.u32()?;
        if version != 0 && version & 0xffff == 0 {
            let wrong = format!("version {} in big-endian order", version.swap_bytes());
            return Err(FactsError::new(FILE, 4, wrong, "only little-endian files are supported").into());
        }
        if !(1..=3).contains(&version) {
            return Err(FactsError::new(FILE, 4, format!("version {version}"), "versions 1 to 3 are supported").into());
        }
        self.found.version = version;
        self.cursor.short_counts = version == 1;
        let tensors = self.limited_count("tensors", TENSOR_LIMIT, "at most 1 000 000 are supported")?;
        self.found.metadata_count =
            self.limited_count("metadata pairs", PAIR_LIMIT, "at most 100 000 are supported")?;
        Ok(tensors)
    }

    fn limited_count(&mut self, what: &str, limit: u64, rule: &'static str) -> Result<u64, Stop> {
        let at = self.cursor.at();
        let count = self.cursor.count()?;
        if count > limit {
            return Err(FactsError::new(FILE, at, format!("{count} {what}"), rule).into());
        }
        Ok(count)
    }

    fn pair(&mut self) -> Result<(), Stop> {
        let key = self.cursor.text(KEY_LIMIT, "a key may have at most 65 535 bytes")?;
        let kind = self.cursor.u32()?;
        let value = self.value(kind, KEPT_OF_TEXT, 0)?;
        if self.pays(ENTRY_BYTES + key.len() as u64 + value.cost()) {
            self.found.metadata.push((String::from_utf8_lossy(key).into_owned(), value));
        }
        Ok(())
    }

    /// Whether there is still room for an entry of so many bytes.
    fn pays(&mut self, bytes: u64) -> bool {
        let left = self.budget.checked_sub(bytes);
        self.budget = left.unwrap_or(self.budget);
        left.is_some()
    }

    /// A value of this kind, of whose texts at most `kept` bytes are kept.
    fn value(&mut self, kind: u32, kept: usize, nesting: u32) -> Result<Value, Stop> {
        let at = self.cursor.at();
        let Some((_, width)) = ggml::value_type(kind) else {
            return Err(FactsError::new(FILE, at, format!("unknown value type {kind}"), "expected 0 to 12").into());
        };
        Ok(match kind {
            ggml::TEXT => {
                let text = self.cursor.text(TEXT_LIMIT, "at most 10 000 000 are supported")?;
                // A few bytes more than are kept, so that no character is torn.
                let start = String::from_utf8_lossy(&text[..text.len().min(kept + 4)]);
                Value::Text { start: cut(&start, kept).to_owned(), length: text.len() as u64 }
            }
            ggml::LIST => self.list(nesting + 1)?,
            6 => Value::Float(f64::from(f32::from_bits(self.cursor.u32()?))),
            12 => Value::Float(f64::from_bits(self.cursor.unsigned(8)?)),
            7 => match self.cursor.unsigned(1)? {
                0 => Value::Bool(false),
                1 => Value::Bool(true),
                other => {
                    return Err(FactsError::new(FILE, at, format!("invalid bool {other}"), "expected 0 or 1").into());
                }
            },
            1 | 3 | 5 | 11 => {
                let unused = 64 - 8 * width as u32;
                Value::Signed((self.cursor.unsigned(width)? << unused) as i64 >> unused)
            }
            _ => Value::Unsigned(self.cursor.unsigned(width)?),
        })
    }

    fn list(&mut self, nesting: u32) -> Result<Value, Stop> {
        let at = self.cursor.at();
        if nesting > NESTING_LIMIT {
            return Err(FactsError::new(FILE, at, "lists nested too deeply", "at most 4 levels are supported").into());
        }
        let kind = self.cursor.u32()?;
        let Some((item, width)) = ggml::value_type(kind) else {
            return Err(FactsError::new(FILE, at, format!("unknown list type {kind}"), "expected 0 to 12").into());
        };
        let count = self.limited_count("list items", LIST_LIMIT, "at most 10 000 000 are supported")?;
        let keep = if width > 0 && count <= KEPT_NUMBERS { count } else { count.min(KEPT_ITEMS) };
        let mut first = Vec::new();
        for _ in 0..keep {
            first.push(self.value(kind, KEPT_OF_ITEM, nesting)?);
        }
        if width > 0 {
            self.cursor.take((count - keep) * width)?;
        } else {
            for _ in keep..count {
                self.value(kind, 0, nesting)?;
            }
        }
        Ok(Value::List { item, count, first })
    }

    /// `general.alignment`, or 32. llama.cpp refuses one that is not a power of two.
    fn alignment(&self) -> Result<u64, Stop> {
        match self.found.get("general.alignment") {
            None => Ok(32),
            Some(Value::Unsigned(value)) if value.is_power_of_two() && *value <= u64::from(u32::MAX) => Ok(*value),
            Some(_) => {
                let wrong = "invalid general.alignment";
                Err(FactsError::new(FILE, self.cursor.at(), wrong, "expected a power of two, such as 32").into())
            }
        }
    }

    /// All tensors, and whether the furthest of them lies within the file.
    fn tensors(&mut self, count: u64, alignment: u64) -> Result<(), Stop> {
        // Where the tensor that ends last ends, and where the header speaks of it.
        let (mut end, mut end_said_at) = (0, 0);
        self.found.bytes = Some(0);
        for _ in 0..count {
            let at = self.cursor.at();
            let tensor_end = self.tensor(alignment)?;
            if tensor_end > end {
                (end, end_said_at) = (tensor_end, at);
            }
        }
        self.found.data_offset = self.cursor.at().next_multiple_of(alignment);
        let wanted = self.found.data_offset.saturating_add(end);
        // Without tensors (a vocabulary) there is no padding either.
        if end > 0 && wanted > self.cursor.file_size() {
            let wrong =
                format!("a tensor ends at byte {wanted}, but the file ends at byte {}", self.cursor.file_size());
            return Err(FactsError::new(FILE, end_said_at, wrong, "the file may be truncated").into());
        }
        Ok(())
    }

    /// One tensor. Gives where it ends, counted from the beginning of the values.
    fn tensor(&mut self, alignment: u64) -> Result<u64, Stop> {
        let at = self.cursor.at();
        let name = self.cursor.text(NAME_LIMIT, "a tensor name may have at most 4096 bytes")?;
        let name = String::from_utf8_lossy(name);
        let fail = |what: String, rule| {
            Err(FactsError::new(FILE, at, format!("tensor `{}` {what}", cut(&name, 80)), rule).into())
        };
        let dimensions = self.cursor.u32()?;
        if dimensions > DIMENSION_LIMIT {
            return fail(format!("has {dimensions} dimensions"), "at most 8 are supported");
        }
        let mut shape = Vec::new();
        for _ in 0..dimensions {
            shape.push(self.cursor.count()?);
        }
        let (number, offset) = (self.cursor.u32()?, self.cursor.unsigned(8)?);
        let elements = shape.iter().try_fold(1, |product: u64, size| product.checked_mul(*size));
        let total = elements.and_then(|elements| self.found.parameters.checked_add(elements));
        let (Some(elements), Some(total)) = (elements, total) else {
            return fail("has more than 2^64 elements".to_owned(), "sizes must fit into 64 bits");
        };
        if offset % alignment != 0 {
            return fail(format!("is misaligned at offset {offset}"), "offsets must be multiples of the alignment");
        }
        let row = shape.first().copied().unwrap_or(1);
        let (kind, bytes) = match ggml::tensor_type(number) {
            None => (format!("type {number}"), None),
            Some(kind) if row % kind.block != 0 => {
                let what = format!("has rows of {row} elements, not a multiple of the {} block size", kind.name);
                return fail(what, "rows must be whole blocks");
            }
            Some(kind) => match (elements / kind.block).checked_mul(kind.bytes) {
                Some(bytes) => (kind.name.to_owned(), Some(bytes)),
                None => return fail("has more than 2^64 bytes".to_owned(), "sizes must fit into 64 bits"),
            },
        };
        self.found.parameters = total;
        self.found.tensor_count += 1;
        self.found.bytes = self.found.bytes.zip(bytes).map(|(sum, bytes)| sum.saturating_add(bytes));
        add_count(&mut self.found.types, &kind, elements);
        if self.pays(ENTRY_BYTES + name.len() as u64 + 8 * shape.len() as u64) {
            self.found.tensors.push(Tensor { name: name.into_owned(), shape, kind, offset, bytes });
        }
        Ok(offset.saturating_add(bytes.unwrap_or(0)))
    }
}

#[cfg(test)]
#[path = "gguf_tests.rs"]
mod tests;
