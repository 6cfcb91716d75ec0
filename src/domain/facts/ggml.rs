//! The numbers of ggml and llama.cpp that GGUF files use, and their words.
//!
//! Source: `ggml_type` and `gguf_metadata_value_type` in ggml's `docs/gguf.md`; the sizes of
//! blocks and the kinds of files (`llama_ftype`) in llama.cpp's `gguf-py/gguf/constants.py`.

/// How tensors of one type are stored: in blocks of so many elements and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TensorType {
    pub(super) name: &'static str,
    pub(super) block: u64,
    pub(super) bytes: u64,
}

/// The type of this number; `None` if it is newer than this table, or was withdrawn.
pub(super) fn tensor_type(number: u32) -> Option<TensorType> {
    let (name, block, bytes) = match number {
        0 => ("F32", 1, 4),
        1 => ("F16", 1, 2),
        2 => ("Q4_0", 32, 18),
        3 => ("Q4_1", 32, 20),
        6 => ("Q5_0", 32, 22),
        7 => ("Q5_1", 32, 24),
        8 => ("Q8_0", 32, 34),
        9 => ("Q8_1", 32, 40),
        10 => ("Q2_K", 256, 84),
        11 => ("Q3_K", 256, 110),
        12 => ("Q4_K", 256, 144),
        13 => ("Q5_K", 256, 176),
        14 => ("Q6_K", 256, 210),
        15 => ("Q8_K", 256, 292),
        16 => ("IQ2_XXS", 256, 66),
        17 => ("IQ2_XS", 256, 74),
        18 => ("IQ3_XXS", 256, 98),
        19 => ("IQ1_S", 256, 50),
        20 => ("IQ4_NL", 32, 18),
        21 => ("IQ3_S", 256, 110),
        22 => ("IQ2_S", 256, 82),
        23 => ("IQ4_XS", 256, 136),
        24 => ("I8", 1, 1),
        25 => ("I16", 1, 2),
        26 => ("I32", 1, 4),
        27 => ("I64", 1, 8),
        28 => ("F64", 1, 8),
        29 => ("IQ1_M", 256, 56),
        30 => ("BF16", 1, 2),
        34 => ("TQ1_0", 256, 54),
        35 => ("TQ2_0", 256, 66),
        39 => ("MXFP4", 32, 17),
        40 => ("NVFP4", 64, 36),
        41 => ("Q1_0", 128, 18),
        _ => return None,
    };
    Some(TensorType { name, block, bytes })
}

/// The word for `general.file_type`: how most tensors of the file are stored.
pub(super) fn file_type(number: u64) -> Option<&'static str> {
    Some(match number {
        0 => "F32",
        1 => "F16",
        2 => "Q4_0",
        3 => "Q4_1",
        7 => "Q8_0",
        8 => "Q5_0",
        9 => "Q5_1",
        10 => "Q2_K",
        11 => "Q3_K_S",
        12 => "Q3_K_M",
        13 => "Q3_K_L",
        14 => "Q4_K_S",
        15 => "Q4_K_M",
        16 => "Q5_K_S",
        17 => "Q5_K_M",
        18 => "Q6_K",
        19 => "IQ2_XXS",
        20 => "IQ2_XS",
        21 => "Q2_K_S",
        22 => "IQ3_XS",
        23 => "IQ3_XXS",
        24 => "IQ1_S",
        25 => "IQ4_NL",
        26 => "IQ3_S",
        27 => "IQ3_M",
        28 => "IQ2_S",
        29 => "IQ2_M",
        30 => "IQ4_XS",
        31 => "IQ1_M",
        32 => "BF16",
        36 => "TQ1_0",
        37 => "TQ2_0",
        38 => "MXFP4",
        39 => "NVFP4",
        40 => "Q1_0",
        _ => return None,
    })
}

/// The word for a kind of value, and its bytes; 0 for texts and lists, whose length is written.
pub(super) fn value_type(number: u32) -> Option<(&'static str, u64)> {
    Some(match number {
        0 => ("uint8", 1),
        1 => ("int8", 1),
        2 => ("uint16", 2),
        3 => ("int16", 2),
        4 => ("uint32", 4),
        5 => ("int32", 4),
        6 => ("float32", 4),
        7 => ("bool", 1),
        TEXT => ("text", 0),
        LIST => ("list", 0),
        10 => ("uint64", 8),
        11 => ("int64", 8),
        12 => ("float64", 8),
        _ => return None,
    })
}

pub(super) const TEXT: u32 = 8;
pub(super) const LIST: u32 = 9;
