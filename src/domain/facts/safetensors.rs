//! The header of a safetensors file: which tensors it holds, without their values.
//!
//! Layout (huggingface/safetensors, "Format"): 8 bytes, the header's length N, little endian; N
//! bytes of JSON; the values. Steps: read N and bound it; ask for 8 + N bytes; read the JSON entry
//! by entry, each checked as it comes; then check that the tensors together fill the rest of the
//! file, without gaps and without overlap, as the library demands.
//!
//! Memory: some 40 bytes per tensor besides what is kept, which the caps below bound to some 20 MiB at
//! the very worst; a real header keeps as much as it is long.

use std::collections::HashSet;
use std::fmt;
use std::hash::RandomState;

use serde::de::{self, Deserializer, Error as _, MapAccess, Visitor};

use super::error::{cut, printable};
use super::packed::{self, Bits};
use super::safetensors_json::{Dtype, Entry, Metadata, Name, Shape};
use super::{Adapter, FactsError, ModelFacts, Reading, add_count};

const FILE: &str = "safetensors header";
/// The longest header (the library's own `MAX_HEADER_SIZE`).
pub const HEADER_LIMIT: u64 = 100_000_000;
/// Tensors of one file; more are an error. Large models have some thousand per file.
pub const TENSOR_LIMIT: u64 = 1_000_000;
/// Tensors that are kept by name; the others are checked and counted.
pub const KEPT_TENSORS: usize = 20_000;
/// Bytes that are kept of a tensor's name and of a value of `__metadata__`.
pub const KEPT_OF_TEXT: usize = 512;
/// Entries that are kept of `__metadata__`.
pub const KEPT_METADATA: usize = 256;

/// What a header says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Safetensors {
    /// In the order of the file, at most `KEPT_TENSORS`.
    pub tensors: Vec<Tensor>,
    /// All tensors, kept or not.
    pub tensor_count: u64,
    /// `__metadata__`: what the writer noted (`format`: `pt`). At most `KEPT_METADATA` entries.
    pub metadata: Vec<(String, String)>,
    /// Elements by type, over all tensors but those that a quantiser packed; of at most 64 types.
    pub dtypes: Vec<(String, u64)>,
    /// The sum of them.
    pub parameters: u64,
    /// Bytes of the packed ones by type, and bits of each of their values where the file says it.
    pub packed: Vec<(String, u64)>,
    pub packed_bits: Option<u64>,
    /// Bytes of all tensors.
    pub bytes: u64,
    /// Where the values begin in the file.
    pub data_offset: u64,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tensor {
    pub name: String,
    /// The format's word: `F32`, `BF16`, `F8_E4M3`.
    pub dtype: String,
    pub shape: Vec<u64>,
    /// Its length in the file.
    pub bytes: u64,
}

impl Safetensors {
    /// What it tells about the model: counts, and the name and kind that image models note of
    /// themselves (Stability AI's ModelSpec). `bits` is what the configuration says of packed values.
    pub fn facts(&self, bits: Option<u64>) -> ModelFacts {
        let noted = |key: &str| self.metadata.iter().find(|(name, _)| name == key).map(|(_, text)| text);
        let shown = |key: &str| noted(key).filter(|text| !text.is_empty()).map(|text| printable(text, 256));
        let mut facts = ModelFacts {
            name: shown("modelspec.title"),
            architecture: shown("modelspec.architecture"),
            parameters: Some(self.parameters),
            weight_bytes: Some(self.bytes),
            ..ModelFacts::default()
        };
        facts.add_dtypes(self.dtypes.clone());
        if !self.packed.is_empty() {
            let bits = self.packed_bits.or(bits);
            facts.quantisation = Some(bits.map_or_else(|| "packed".to_owned(), |bits| format!("{bits}-bit")));
            let values = packed::unpacked(&self.packed, bits);
            facts.parameters = values.as_ref().map(|values| packed::sum(values).saturating_add(self.parameters));
            facts.add_dtypes(values.unwrap_or_default());
        }
        if self.is_adapter() {
            facts.become_adapter(Adapter { kind: Some("LORA".to_owned()), ..Adapter::default() });
        }
        facts
    }

    /// Whether its tensors change those of another model: all names are those of a LoRA (PEFT: `lora_A`, diffusers and
    /// kohya: `lora_down`, `lora.up`, with `alpha` and `dora_scale` beside them).
    fn is_adapter(&self) -> bool {
        let of_lora = |name: &str| name.contains("lora_") || name.contains(".lora.") || name.contains("_lora.");
        let beside = |name: &str| name.ends_with("alpha") || name.ends_with("dora_scale");
        self.tensors.iter().any(|tensor| of_lora(&tensor.name))
            && self.tensors.iter().all(|tensor| of_lora(&tensor.name) || beside(&tensor.name))
    }
}

/// Reads the header from the beginning of a file of `file_size` bytes. With fewer than 8 bytes
/// it asks for 8, then for exactly the header. Errors: the length, the JSON or a tensor breaks
/// the format or a cap.
pub fn read(prefix: &[u8], file_size: u64) -> Result<Reading<Safetensors>, FactsError> {
    if file_size < 8 {
        let wrong = format!("the file has {file_size} bytes");
        return Err(FactsError::new(FILE, file_size, wrong, "at least 8 bytes are needed for the header length"));
    }
    let Some((length, rest)) = prefix.split_first_chunk::<8>() else {
        return Ok(Reading::NeedMore(8));
    };
    let length = u64::from_le_bytes(*length);
    if length > HEADER_LIMIT {
        let wrong = format!("the header's length is {length}");
        return Err(FactsError::new(
            FILE,
            0,
            wrong,
            "at most 100 000 000 bytes are allowed; is it a safetensors file?",
        ));
    }
    let data_offset = 8 + length;
    if data_offset > file_size {
        let wrong = format!("the header ends at byte {data_offset}, but the file ends at byte {file_size}");
        return Err(FactsError::new(FILE, 0, wrong, "the file may be truncated"));
    }
    let Some(text) = rest.get(..length as usize) else {
        return Ok(Reading::NeedMore(data_offset));
    };
    if text.first() != Some(&b'{') {
        return Err(FactsError::new(FILE, 8, "the header is not a JSON object", "expected `{`"));
    }
    let mut header = Header {
        data: file_size - data_offset,
        spans: Vec::new(),
        names: HashSet::new(),
        found: Safetensors::default(),
    };
    let mut json = serde_json::Deserializer::from_slice(text);
    let done = json.deserialize_map(&mut header).and_then(|()| json.end());
    done.map_err(|error| FactsError::json(FILE, 8, text, &error))?;
    let bytes = header.check_spans(data_offset)?;
    Ok(Reading::Done(Safetensors { bytes, data_offset, ..header.found }))
}

/// Bits of an element; `None` for a type that is newer than this table, whose size is not checked.
pub(super) fn bits(dtype: &str) -> Option<u64> {
    Some(match dtype {
        "F4" => 4,
        "F6_E2M3" | "F6_E3M2" => 6,
        "BOOL" | "U8" | "I8" | "F8_E5M2" | "F8_E4M3" | "F8_E8M0" | "F8_E4M3FNUZ" | "F8_E5M2FNUZ" => 8,
        "I16" | "U16" | "F16" | "BF16" => 16,
        "I32" | "U32" | "F32" => 32,
        "I64" | "U64" | "F64" | "C64" => 64,
        _ => return None,
    })
}

/// The header while it is read.
struct Header {
    /// Bytes of the file after the header.
    data: u64,
    /// Where each tensor lies in them.
    spans: Vec<(u64, u64)>,
    /// Hashes of the names seen.
    names: HashSet<u64>,
    found: Safetensors,
}

impl Header {
    fn add<E: de::Error>(&mut self, name: String, entry: Entry) -> Result<(), E> {
        let fail = |what: fmt::Arguments<'_>| Err(E::custom(format_args!("tensor `{}` {what}", cut(&name, 80))));
        if self.found.tensor_count == TENSOR_LIMIT {
            return fail(format_args!("is one too many; at most {TENSOR_LIMIT} are supported"));
        }
        let Entry { dtype: Dtype(dtype), shape: Shape(shape), data_offsets: (start, end) } = entry;
        if start > end || end > self.data {
            return fail(format_args!("has offsets {start}..{end}, but there are {} data bytes", self.data));
        }
        let Some(elements) = shape.iter().try_fold(1, |product: u64, size| product.checked_mul(*size)) else {
            return fail(format_args!("has a shape of more than 2^64 elements"));
        };
        if let Some(bits) = bits(&dtype) {
            let wanted = elements.checked_mul(bits).filter(|bits| bits % 8 == 0).map(|bits| bits / 8);
            if wanted != Some(end - start) {
                let has = end - start;
                return fail(format_args!("has {has} bytes, which does not match {elements} elements of {dtype}"));
            }
        }
        let found = &mut self.found;
        found.packed_bits = found.packed_bits.or(packed::said_beside(&name));
        let (values, packed_bytes) = match packed::bits_of(&name, &dtype) {
            Bits::OfType => (elements, 0),
            Bits::Of(bits) => ((end - start).saturating_mul(8) / bits, 0),
            Bits::OfConfig => (0, end - start),
        };
        let Some(parameters) = found.parameters.checked_add(values) else {
            return fail(format_args!("takes the total number of elements above 2^64"));
        };
        found.parameters = parameters;
        self.found.tensor_count += 1;
        self.spans.push((start, end));
        if packed_bytes > 0 {
            add_count(&mut self.found.packed, &dtype, packed_bytes);
        } else {
            add_count(&mut self.found.dtypes, &dtype, values);
        }
        if self.found.tensors.len() < KEPT_TENSORS {
            self.found.tensors.push(Tensor { name, dtype, shape, bytes: end - start });
        }
        Ok(())
    }

    /// The tensors fill the file's data exactly. Gives their bytes.
    fn check_spans(&mut self, data_offset: u64) -> Result<u64, FactsError> {
        self.spans.sort_unstable();
        let mut filled = 0;
        for (start, end) in self.spans.iter().copied() {
            if start != filled {
                let what = if start < filled { "overlapping tensors" } else { "gap between tensors" };
                let rule = "tensors must be contiguous and must not overlap";
                return Err(FactsError::new(FILE, data_offset + start.min(filled), what, rule));
            }
            filled = end;
        }
        if filled != self.data {
            let wrong = format!("{} bytes follow the last tensor", self.data - filled);
            return Err(FactsError::new(FILE, data_offset + filled, wrong, "the file must end with its last tensor"));
        }
        Ok(filled)
    }
}

impl<'de> Visitor<'de> for &mut Header {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of tensors")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        let hasher = RandomState::new();
        while let Some((name, hash)) = map.next_key_seed(Name(&hasher))? {
            if !self.names.insert(hash) {
                let shown = cut(&name, 80);
                return Err(A::Error::custom(format_args!("duplicate name `{shown}`")));
            }
            if name == "__metadata__" {
                map.next_value_seed(Metadata(&mut self.found.metadata))?;
            } else {
                let entry = map.next_value::<Entry>()?;
                self.add(name, entry)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::safetensors as file;
    use super::*;

    fn read_all(bytes: &[u8]) -> Result<Safetensors, String> {
        match read(bytes, bytes.len() as u64) {
            Ok(Reading::Done(found)) => Ok(found),
            Ok(Reading::NeedMore(more)) => panic!("asked for {more} of {} bytes", bytes.len()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// One tensor of this entry, in a file with so many bytes of data.
    fn one(entry: &str, data: usize) -> Result<Safetensors, String> {
        read_all(&file(&format!(r#"{{"t":{entry}}}"#), data))
    }

    #[test]
    fn tensors_and_counts_are_read() {
        let header = r#"{"__metadata__":{"format":"pt","modelspec.title":"Tiny"},
            "b":{"dtype":"F32","shape":[2,3],"data_offsets":[8,32]},
            "a":{"shape":[],"dtype":"I64","data_offsets":[0,8],"new":[1]},
            "c":{"dtype":"F4","shape":[6],"data_offsets":[32,35]},"z":{"dtype":"F32","shape":[0],"data_offsets":[8,8]}}  "#;
        let found = read_all(&file(header, 35)).unwrap();
        assert_eq!((found.tensor_count, found.parameters, found.bytes), (4, 13, 35));
        assert_eq!(found.metadata[0], ("format".to_owned(), "pt".to_owned()));
        assert_eq!(found.tensors[0].name, "b");
        assert_eq!((found.tensors[0].shape.as_slice(), found.tensors[0].bytes), ([2, 3].as_slice(), 24));
        let facts = found.facts(None);
        let dtypes: Vec<_> = facts.dtypes.iter().map(|(dtype, count)| (dtype.as_str(), *count)).collect();
        assert_eq!(dtypes, [("F32", 6), ("F4", 6), ("I64", 1)]);
        assert_eq!((facts.parameters, facts.weight_bytes, facts.name.as_deref()), (Some(13), Some(35), Some("Tiny")));
    }

    #[test]
    fn it_asks_for_the_length_and_then_for_the_header() {
        let bytes = file(r#"{"t":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"#, 4);
        let (size, header) = (bytes.len() as u64, bytes.len() as u64 - 4);
        assert_eq!(read(&[], size), Ok(Reading::NeedMore(8)));
        assert_eq!(read(&bytes[..7], size), Ok(Reading::NeedMore(8)));
        assert_eq!(read(&bytes[..20], size), Ok(Reading::NeedMore(header)));
        assert!(matches!(read(&bytes[..header as usize], size), Ok(Reading::Done(_))));
    }

    #[test]
    fn lengths_that_cannot_be_are_refused() {
        assert!(read(&[], 7).unwrap_err().to_string().contains("at least 8 bytes"));
        let error = read(&u64::MAX.to_le_bytes(), 1 << 40).unwrap_err();
        assert!(error.to_string().contains("100 000 000"), "{error}");
        assert!(read(&100u64.to_le_bytes(), 50).unwrap_err().to_string().contains("may be truncated"));
        assert!(read_all(&file("[]", 0)).unwrap_err().contains("expected `{`"));
    }

    #[test]
    fn tensors_that_lie_are_refused_with_their_place() {
        for (entry, data, words) in [
            (r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#, 4, "does not match 2 elements of F32"),
            (r#"{"dtype":"F4","shape":[3],"data_offsets":[0,1]}"#, 1, "3 elements of F4"),
            (r#"{"dtype":"F32","shape":[1],"data_offsets":[0,4]}"#, 3, "has offsets 0..4, but there are 3 data bytes"),
            (r#"{"dtype":"F32","shape":[1],"data_offsets":[4,0]}"#, 4, "has offsets 4..0"),
            (r#"{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}"#, 0, "more than 2^64"),
            (r#"{"dtype":"U8","shape":[-1],"data_offsets":[0,0]}"#, 0, "invalid value"),
            (r#"{"dtype":"U8","shape":[1]}"#, 1, "missing field `data_offsets`"),
            (r#"{"dtype":"u 8","shape":[1],"data_offsets":[0,1]}"#, 1, "such as F32"),
            (r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1,2]}"#, 1, "trailing characters"),
            (r#"{"dtype":"U8","shape":[1],"data_offsets":[1,2]}"#, 2, "gap between tensors"),
            (r#"{"dtype":"U8","shape":[1],"data_offsets":[0,1]}"#, 9, "8 bytes follow the last tensor"),
        ] {
            let error = one(entry, data).unwrap_err();
            assert!(error.contains(words), "{entry}: {error}");
        }
        let twice = r#"{"a":{"dtype":"U8","shape":[2],"data_offsets":[0,2]},"b":{"dtype":"U8","shape":[2],"data_offsets":[1,3]}}"#;
        assert!(read_all(&file(twice, 3)).unwrap_err().contains("overlap"));
        let same = twice.replace("\"b\"", "\"a\"").replace("[1,3]", "[2,4]");
        assert!(read_all(&file(&same, 4)).unwrap_err().contains("duplicate name `a`"));
        let shape = format!(r#"{{"dtype":"U8","shape":[{}1],"data_offsets":[0,1]}}"#, "1,".repeat(32));
        assert!(one(&shape, 1).unwrap_err().contains("at most 32 dimensions"));
        assert!(read_all(&file(r#"{"__metadata__":{"a":1}}"#, 0)).unwrap_err().contains("expected a string"));
    }

    #[test]
    fn a_type_of_tomorrow_is_counted_without_its_size() {
        let found = one(r#"{"dtype":"F3_X","shape":[8],"data_offsets":[0,3]}"#, 3).unwrap();
        assert_eq!((found.parameters, found.bytes), (8, 3));
    }

    #[test]
    fn no_more_than_the_caps_is_kept() {
        let tensor =
            |n| format!(r#""{}{n}":{{"dtype":"U8","shape":[1],"data_offsets":[{n},{}]}}"#, "n".repeat(600), n + 1);
        let notes: Vec<String> = (0..1000).map(|n| format!(r#""k{n}":"{}""#, "v".repeat(1000))).collect();
        let tensors: Vec<String> = (0..KEPT_TENSORS + 5).map(tensor).collect();
        let header = format!(r#"{{"__metadata__":{{{}}},{}}}"#, notes.join(","), tensors.join(","));
        let found = read_all(&file(&header, KEPT_TENSORS + 5)).unwrap();
        assert_eq!((found.tensors.len(), found.tensor_count), (KEPT_TENSORS, KEPT_TENSORS as u64 + 5));
        assert_eq!((found.metadata.len(), found.metadata[0].1.len()), (KEPT_METADATA, KEPT_OF_TEXT));
        assert_eq!(found.tensors[0].name.len(), KEPT_OF_TEXT);
    }
}
