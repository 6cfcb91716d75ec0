//! Small valid files for the tests of the parsers, built by hand.

/// A safetensors file of this header and so many bytes of values.
pub(super) fn safetensors(header: &str, data: usize) -> Vec<u8> {
    let mut bytes = (header.len() as u64).to_le_bytes().to_vec();
    bytes.extend_from_slice(header.as_bytes());
    bytes.resize(bytes.len() + data, 0);
    bytes
}

/// Writes a GGUF file. Widths of counts follow the version: 32 bits in version 1, else 64.
#[derive(Clone)]
pub(super) struct GgufFile {
    version: u32,
    pairs: Vec<Vec<u8>>,
    tensors: Vec<Vec<u8>>,
    data: usize,
}

impl GgufFile {
    pub(super) fn new(version: u32) -> Self {
        Self { version, pairs: Vec::new(), tensors: Vec::new(), data: 0 }
    }

    /// A count as this version writes it.
    pub(super) fn count(&self, count: u64) -> Vec<u8> {
        if self.version == 1 { (count as u32).to_le_bytes().to_vec() } else { count.to_le_bytes().to_vec() }
    }

    pub(super) fn string(&self, text: &str) -> Vec<u8> {
        [self.count(text.len() as u64), text.as_bytes().to_vec()].concat()
    }

    /// A pair of a type number and the bytes of its value.
    pub(super) fn raw(mut self, key: &str, kind: u32, value: &[u8]) -> Self {
        self.pairs.push([&self.string(key), kind.to_le_bytes().as_slice(), value].concat());
        self
    }

    pub(super) fn text(self, key: &str, value: &str) -> Self {
        let value = self.string(value);
        self.raw(key, 8, &value)
    }

    pub(super) fn u32(self, key: &str, value: u32) -> Self {
        self.raw(key, 4, &value.to_le_bytes())
    }

    pub(super) fn texts<T: AsRef<str>>(self, key: &str, values: &[T]) -> Self {
        let items: Vec<u8> = values.iter().flat_map(|text| self.string(text.as_ref())).collect();
        let value = [8u32.to_le_bytes().to_vec(), self.count(values.len() as u64), items].concat();
        self.raw(key, 9, &value)
    }

    pub(super) fn u32s(self, key: &str, values: &[u32]) -> Self {
        let items: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        let value = [4u32.to_le_bytes().to_vec(), self.count(values.len() as u64), items].concat();
        self.raw(key, 9, &value)
    }

    /// A tensor that begins at `offset` of the data; the data reaches to `end`.
    pub(super) fn tensor(mut self, name: &str, shape: &[u64], kind: u32, offset: u64, end: usize) -> Self {
        let mut bytes = [self.string(name), (shape.len() as u32).to_le_bytes().to_vec()].concat();
        shape.iter().for_each(|size| bytes.extend(self.count(*size)));
        bytes.extend(kind.to_le_bytes());
        bytes.extend(offset.to_le_bytes());
        self.tensors.push(bytes);
        self.data = self.data.max(end);
        self
    }

    /// The header alone, without padding and values.
    pub(super) fn header(&self) -> Vec<u8> {
        let counts = [self.count(self.tensors.len() as u64), self.count(self.pairs.len() as u64)].concat();
        [b"GGUF".to_vec(), self.version.to_le_bytes().to_vec(), counts, self.pairs.concat(), self.tensors.concat()]
            .concat()
    }

    /// The file, its values at the next multiple of 32.
    pub(super) fn build(&self) -> Vec<u8> {
        let mut bytes = self.header();
        let padded = bytes.len().next_multiple_of(32);
        bytes.resize(padded + self.data, 0);
        bytes
    }
}

/// A small Llama with everything that is read.
pub(super) fn llama_gguf(version: u32) -> GgufFile {
    GgufFile::new(version)
        .text("general.architecture", "llama")
        .text("general.name", "Tiny")
        .u32("general.file_type", 15)
        .u32("llama.context_length", 4096)
        .u32("llama.block_count", 2)
        .u32("llama.embedding_length", 256)
        .u32("llama.attention.head_count", 8)
        .u32("llama.attention.head_count_kv", 2)
        .text("tokenizer.ggml.model", "gpt2")
        .texts("tokenizer.ggml.tokens", &["<s>", "</s>", "a", "b", "c", "d"])
        .text("tokenizer.chat_template", "{{ messages }}")
        .tensor("token_embd.weight", &[256, 6], 12, 0, 864)
        .tensor("output_norm.weight", &[256], 0, 864, 864 + 1024)
}
