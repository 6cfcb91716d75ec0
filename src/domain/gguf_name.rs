//! What the path of one GGUF file says: its quantisation, and which part of a split file it is.
//!
//! Steps: the ending, with the number of a part before or after it → the quantisation, the last that the name has →
//! without one there, that of the nearest folder that names one → the other words of the name. Letter case does not
//! matter. Sources: llama.cpp's types (`llama_ftype`, `gguf-split`), those of its forks, and how the Hub's uploaders
//! name files.

use std::collections::BTreeSet;

/// What the path says; roles need the other files of the repository: `gguf_file`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GgufName {
    pub quantisation: Option<String>,
    pub split: Option<Split>,
    /// The words of the name before its quantisation, and after it; in lower case. All are before without one.
    pub before: Vec<String>,
    pub after: Vec<String>,
}

/// The place of a file among the parts of a split one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Split {
    /// The path without the number: the same for all parts.
    pub set: String,
    /// From 1; from 0 in sets that are counted so.
    pub part: u32,
    /// Unknown if the names do not say, as in `-split-a`.
    pub count: Option<u32>,
}

/// How many parts a set has whose names say `count`, given the numbers that are there: one more if it is counted from 0
/// to `count` (openai/gpt-oss, `model-00000-of-00002` to `model-00002-of-00002`). Others count from 0 to one less.
pub(super) fn parts_of_set(numbers: &BTreeSet<u32>, count: u32) -> u64 {
    u64::from(count) + u64::from(numbers.contains(&0) && numbers.contains(&count))
}

impl GgufName {
    /// `None` if it is no GGUF file.
    pub(super) fn of(path: &str) -> Option<Self> {
        let (folders, name) = path.rsplit_once('/').unwrap_or(("", path));
        let (stem, number) = without_ending(name)?;
        let split = number.map(|(part, count)| {
            let set = if folders.is_empty() { stem.to_owned() } else { format!("{folders}/{stem}") };
            Split { set, part, count }
        });
        let found = quantisation_in(stem);
        let range = found.as_ref().map_or(stem.len()..stem.len(), |(_, range)| range.clone());
        let quantisation = found
            .map(|(quantisation, _)| quantisation)
            .or_else(|| folders.rsplit('/').find_map(|folder| quantisation_in(folder).map(|(found, _)| found)));
        Some(Self { quantisation, split, before: words(&stem[..range.start]), after: words(&stem[range.end..]) })
    }
}

/// The words of a name, in lower case.
pub(super) fn words(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.map(str::to_lowercase).collect()
}

/// Which part it is, and of how many if that is said.
type Number = (u32, Option<u32>);

/// A name without its ending and number, and the number: `-00001-of-00003.gguf` (gguf-split), `.gguf.part1of2`,
/// `.gguf-split-a` and the like, for parts that have to be joined.
fn without_ending(name: &str) -> Option<(&str, Option<Number>)> {
    let lower = name.to_ascii_lowercase();
    let at = lower.rfind(".gguf")?;
    let (stem, tail) = (&name[..at], &lower[at + ".gguf".len()..]);
    if !tail.is_empty() {
        return Some((stem, Some(joined_part(tail)?)));
    }
    if let Some((head, count)) = stem.rsplit_once("-of-").or_else(|| stem.rsplit_once("-OF-"))
        && let Some((head, part)) = head.rsplit_once('-')
        && let (Some(part), Some(count)) = (number(part), number(count))
        && part <= count
        && count > 0
    {
        return Some((head, Some((part, Some(count)))));
    }
    // `.part1of2.gguf`
    if let Some((head, last)) = stem.rsplit_once(['.', '-', '_'])
        && let Some(part @ (_, Some(_))) = joined_part(&format!(".{}", last.to_ascii_lowercase()))
    {
        return Some((head, Some(part)));
    }
    Some((stem, None))
}

/// `.part1of2`, `-split-a`, `.split-ab`, `-part-3`, in lower case: the part, from 1, and how many there are.
fn joined_part(tail: &str) -> Option<Number> {
    let rest = tail.trim_start_matches(['.', '-', '_']);
    let rest = rest.strip_prefix("part").or_else(|| rest.strip_prefix("split"))?;
    let rest = rest.trim_start_matches(['.', '-', '_']);
    if let Some((part, count)) = rest.split_once("of") {
        let trim = |text: &str| number(text.trim_matches(['-', '_']));
        return Some((trim(part)?, Some(trim(count)?)));
    }
    let is_letters = matches!(rest.len(), 1 | 2) && rest.bytes().all(|b| b.is_ascii_lowercase());
    if is_letters {
        // `a`, `b` …, or as `split` counts: `aa`, `ab` …
        let of = |byte: u8| u32::from(byte - b'a');
        return Some((rest.bytes().fold(0, |sum, byte| sum * 26 + of(byte)) + 1, None));
    }
    Some((number(rest)?, None))
}

fn number(text: &str) -> Option<u32> {
    let digits = (1..=6).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

/// Words before a quantisation that tell apart files of the same type: of Unsloth ("dynamic"), of mradermacher (made
/// with an importance matrix), of ubergarm.
const PREFIXES: [&str; 3] = ["UD", "i1", "smol"];

/// A quantisation without such a word: `Q4_K_XL` of `UD-Q4_K_XL`.
pub(super) fn bare(quantisation: &str) -> &str {
    quantisation.rsplit_once('-').map_or(quantisation, |(_, bare)| bare)
}

/// The last quantisation of a text, as it is shown: `Q4_K_M`, `UD-IQ2_XXS`, `i1-Q2_K`; and where it is. `fp16` is F16.
pub(super) fn quantisation_in(text: &str) -> Option<(String, std::ops::Range<usize>)> {
    let upper = text.to_ascii_uppercase();
    let is_start = |at: &usize| !text[..*at].ends_with(char::is_alphanumeric);
    // `devstralQ4_K_M`; but in `iQ4_NL` the word begins before.
    let is_hump = |at: &usize| {
        text[..*at].ends_with(|c: char| c.is_ascii_lowercase())
            && text[*at..].starts_with(|c: char| c.is_ascii_uppercase())
    };
    let found = |is_there: &dyn Fn(&usize) -> bool| {
        let starts = text.char_indices().map(|(at, _)| at).filter(is_there);
        starts.filter_map(|at| Some((at, quantisation_at(&upper[at..])?))).next_back()
    };
    let (start, length) = found(&is_start).or_else(|| found(&is_hump))?;
    let name = &upper[start..start + length];
    let name = match name.strip_prefix("FP") {
        Some(bits @ ("16" | "32" | "64")) => format!("F{bits}"),
        _ => name.to_owned(),
    };
    let head = text[..start].strip_suffix(['-', '_', '.']).unwrap_or(&text[..start]);
    let prefix = PREFIXES.into_iter().find_map(|prefix| {
        let at = head.len().checked_sub(prefix.len())?;
        let fits = head.get(at..)?.eq_ignore_ascii_case(prefix) && is_start(&at);
        fits.then_some((prefix, at))
    });
    Some(match prefix {
        Some((prefix, at)) => (format!("{prefix}-{name}"), at..start + length),
        None => (name, start..start + length),
    })
}

/// How many bytes a quantisation takes at the beginning of a text in capitals.
fn quantisation_at(text: &str) -> Option<usize> {
    // The longer ones first.
    const WHOLE: [&str; 21] = [
        "MXFP4_MOE",
        "MXFP4",
        "MXFP6",
        "MXFP8",
        "NVFP4",
        "BF16",
        "FP64",
        "FP32",
        "FP16",
        "FP8",
        "FP4",
        "F64",
        "F32",
        "F16",
        "NF4",
        "I2_S",
        "I8_S",
        "TL1",
        "TL2",
        "INT8",
        "INT4",
    ];
    /// What may follow `Q4`, each after `_`.
    const SIZES: [&str; 14] = ["K", "XXS", "XS", "S", "M", "L", "XL", "XXL", "NL", "P", "KS", "KSS", "KT", "KL"];
    let ends = |length: usize| !text[length..].starts_with(char::is_alphanumeric);
    if let Some(word) = WHOLE.into_iter().find(|word| text.starts_with(word) && ends(word.len())) {
        return Some(word.len());
    }
    let digit = ["IQ", "TQ", "Q"].into_iter().find_map(|family| text.strip_prefix(family))?;
    if !digit.starts_with(|c: char| c.is_ascii_digit()) {
        return None;
    }
    let mut length = text.len() - digit.len() + 1;
    let bare = length;
    while let Some(rest) = text[length..].strip_prefix('_') {
        let word = &rest[..rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len())];
        // `Q4_0`, `Q4_0_4_4`, and of forks `Q8_0_R8` (rows), `Q1_0_G128` (groups).
        let is_count = word.strip_prefix(['R', 'G']).unwrap_or(word);
        let is_count = (1..=3).contains(&is_count.len()) && is_count.bytes().all(|b| b.is_ascii_digit());
        if !SIZES.contains(&word) && !is_count {
            break;
        }
        length += 1 + word.len();
    }
    // `q4` alone is one only at the end: `Q3-2024` is a time.
    (ends(length) && (length > bare || text.len() == bare)).then_some(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn quantisation(path: &str) -> Option<String> {
        GgufName::of(path).unwrap().quantisation
    }

    #[test]
    fn quantisations_are_read_from_names() {
        for (path, expected) in [
            ("Qwen3-8B-Q4_K_M.gguf", "Q4_K_M"),
            ("llama-2-7b.Q8_0.gguf", "Q8_0"),
            ("tiny_model_q4_0.gguf", "Q4_0"),
            ("tiny_q8_0_chat.gguf", "Q8_0"),
            ("Phi-3-mini-4k-instruct-q4.gguf", "Q4"),
            ("Phi-3-mini-4k-instruct-fp16.gguf", "F16"),
            ("m-f16.GGUF", "F16"),
            ("m.F32.gguf", "F32"),
            ("m-bf16.gguf", "BF16"),
            ("gpt-oss-20b-mxfp4.gguf", "MXFP4"),
            ("gpt-oss-20b-MXFP4_MOE.gguf", "MXFP4_MOE"),
            ("m-NVFP4.gguf", "NVFP4"),
            ("ggml-model-i2_s.gguf", "I2_S"),
            ("m-TQ1_0.gguf", "TQ1_0"),
            ("m-UD-TQ1_0.gguf", "UD-TQ1_0"),
            ("m-IQ4_NL.gguf", "IQ4_NL"),
            ("m-iq3_xxs.gguf", "IQ3_XXS"),
            ("m-Q4_0_4_4.gguf", "Q4_0_4_4"),
            ("m-Q3_K_L.gguf", "Q3_K_L"),
            ("m-Q2_K.gguf", "Q2_K"),
            ("m-Q4_K_XL.gguf", "Q4_K_XL"),
            ("m-UD-Q4_K_XL.gguf", "UD-Q4_K_XL"),
            ("m-ud-q4_k_xl.gguf", "UD-Q4_K_XL"),
            ("B.i1-Q2_K.gguf", "i1-Q2_K"),
            ("K2-smol-IQ2_KS-00001-of-00002.gguf", "smol-IQ2_KS"),
            ("m-IQ4_K_R4.gguf", "IQ4_K_R4"),
            ("m-Q1_0_g128.gguf", "Q1_0_G128"),
            ("m-Q4_K_P.gguf", "Q4_K_P"),
            ("m-D_AU-Q4_k_m-imat.gguf", "Q4_K_M"),
            ("m.f16.q6.gguf", "Q6"),
            ("F16-fighter-Q4_K_M.gguf", "Q4_K_M"),
            ("m (Q5_K_S).gguf", "Q5_K_S"),
            ("Q4_K_M.gguf", "Q4_K_M"),
            ("模型_Q4_K_M.gguf", "Q4_K_M"),
            // xtuner/llava-llama-3-8b-v1_1-gguf.
            ("llava-llama-3-8b-v1_1-int4.gguf", "INT4"),
            // mistralai/Devstral-Small-2505_gguf.
            ("devstralQ4_K_M.gguf", "Q4_K_M"),
            ("devstralF16.gguf", "F16"),
        ] {
            assert_eq!(quantisation(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn a_folder_names_the_quantisation_of_files_that_name_none() {
        assert_eq!(quantisation("Q4_K_M/model.gguf").as_deref(), Some("Q4_K_M"));
        assert_eq!(quantisation("R1-UD-IQ1_S/model-00001-of-00003.gguf").as_deref(), Some("UD-IQ1_S"));
        assert_eq!(quantisation("gguf/q8_0/deep/model.gguf").as_deref(), Some("Q8_0"));
        assert_eq!(quantisation("Q2_K/q8_0/model.gguf").as_deref(), Some("Q8_0"), "the nearest");
        assert_eq!(quantisation("BF16/m-Q4_0.gguf").as_deref(), Some("Q4_0"), "the name comes first");
    }

    #[test]
    fn names_that_only_look_like_a_quantisation_are_none() {
        for path in [
            "bad.gguf",
            "Qwen3-8B.gguf",
            "Q.gguf",
            "report-Q3-2024.gguf",
            "IQ200.gguf",
            "Q8-Bert-base.gguf",
            "BF160.gguf",
            "model-f1.gguf",
            "uncensored-UD.gguf",
            "T5-F16a.gguf",
            "t5XXLF16.gguf",
            "seq4_0.gguf",
        ] {
            assert_eq!(quantisation(path), None, "{path}");
        }
    }

    #[test]
    fn every_way_to_split_a_file_is_known() {
        for (path, set, part, count) in [
            ("a/m-Q4_K_M-00002-of-00003.gguf", "a/m-Q4_K_M", 2, Some(3)),
            ("m-00000-of-00003.gguf", "m", 0, Some(3)),
            ("B.i1-Q6_K.gguf.part2of2", "B.i1-Q6_K", 2, Some(2)),
            ("B.Q6_K.GGUF.Part1of2", "B.Q6_K", 1, Some(2)),
            ("B.Q6_K.part1of2.gguf", "B.Q6_K", 1, Some(2)),
            ("llama-2-70b.Q6_K.gguf-split-b", "llama-2-70b.Q6_K", 2, None),
            ("m.Q8_0.gguf.split-ab", "m.Q8_0", 2, None),
            ("m.Q8_0.gguf-part-a", "m.Q8_0", 1, None),
            ("m.Q8_0.gguf.part03", "m.Q8_0", 3, None),
        ] {
            let name = GgufName::of(path).unwrap_or_else(|| panic!("{path}"));
            assert_eq!(name.split, Some(Split { set: set.into(), part, count }), "{path}");
        }
        for path in ["m-Q4_0.gguf", "m-00004-of-00003.gguf", "m-1-of.gguf", "m-spare-part.gguf"] {
            assert_eq!(GgufName::of(path).unwrap().split, None, "{path}");
        }
        for path in ["m.gguf.json", "imatrix.gguf_file", "m.gguf.part", "m.gguf.sha256", "model.safetensors", "gguf"] {
            assert_eq!(GgufName::of(path), None, "{path}");
        }
    }
}
