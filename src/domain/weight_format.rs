//! How weights are written, and which of several files hold one set of them, told by their names.
//!
//! A name is a hint, as in `file_type`: a pickle can be called anything.

use std::fmt;

use super::RepoPath;
use super::file_type::ending;
use super::gguf_file::is_gguf;

/// How weights are written. It decides which parser of `facts` reads them, and whether people
/// are warned before they load them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum WeightFormat {
    Safetensors,
    Gguf,
    /// The formats of llama.cpp before GGUF.
    Ggml,
    Onnx,
    /// PyTorch's files and all else that Python's pickle may read.
    Pickle,
    /// HDF5 and `.keras`.
    Keras,
    /// TensorFlow graphs.
    TensorFlow,
    TfLite,
    /// Flax's message pack.
    Flax,
    Numpy,
    CoreMl,
    OpenVino,
    TensorRt,
    /// NVIDIA NeMo: a tar with a pickle inside.
    Nemo,
    /// A model that is a program.
    Llamafile,
}

impl WeightFormat {
    /// The word that is stored and shown.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Safetensors => "safetensors",
            Self::Gguf => "gguf",
            Self::Ggml => "ggml",
            Self::Onnx => "onnx",
            Self::Pickle => "pickle",
            Self::Keras => "keras",
            Self::TensorFlow => "tensorflow",
            Self::TfLite => "tflite",
            Self::Flax => "flax",
            Self::Numpy => "numpy",
            Self::CoreMl => "coreml",
            Self::OpenVino => "openvino",
            Self::TensorRt => "tensorrt",
            Self::Nemo => "nemo",
            Self::Llamafile => "llamafile",
        }
    }

    /// The format by the file's name, `None` if it does not look like weights. `.bin` is taken for
    /// a pickle, as transformers writes it, unless the name says who else wrote it.
    pub fn of(path: &RepoPath) -> Option<Self> {
        let whole = path.as_str().to_ascii_lowercase();
        let name = path.file_name().to_ascii_lowercase();
        if whole.contains(".mlpackage/") || whole.contains(".mlmodelc/") {
            return matches!(ending(&name), "bin" | "mlmodel").then_some(Self::CoreMl);
        }
        if name.ends_with(".onnx.data") || name.ends_with(".onnx_data") {
            return Some(Self::Onnx);
        }
        // A part of one too (`.gguf.part1of2`).
        if is_gguf(path) {
            return Some(Self::Gguf);
        }
        Some(match ending(&name) {
            "safetensors" => Self::Safetensors,
            "ggml" => Self::Ggml,
            "onnx" | "ort" => Self::Onnx,
            "bin" if name.starts_with("ggml") => Self::Ggml,
            "bin" if name.starts_with("openvino") => Self::OpenVino,
            "bin" | "pt" | "pth" | "ckpt" | "pkl" | "pickle" | "joblib" | "dill" | "pt2" | "mar" | "ptl" => {
                Self::Pickle
            }
            "h5" | "hdf5" | "keras" => Self::Keras,
            "pb" => Self::TensorFlow,
            "tflite" | "litertlm" | "task" => Self::TfLite,
            "msgpack" => Self::Flax,
            "npz" => Self::Numpy,
            "mlmodel" => Self::CoreMl,
            "engine" | "plan" | "trt" => Self::TensorRt,
            "nemo" => Self::Nemo,
            "llamafile" => Self::Llamafile,
            _ => return None,
        })
    }

    /// Whether loading it goes through Python's pickle, which runs what the file says
    /// (docs.python.org, `pickle`: "only unpickle data you trust").
    pub fn is_pickle(self) -> bool {
        matches!(self, Self::Pickle | Self::Nemo)
    }

    /// Whether loading or running it can run code that came with the file: pickles, Keras
    /// (`Lambda` layers), TensorFlow graphs (their operations read and write files), engines of
    /// TensorRT (machine code), and programs.
    pub fn can_run_code(self) -> bool {
        self.is_pickle() || matches!(self, Self::Keras | Self::TensorFlow | Self::TensorRt | Self::Llamafile)
    }
}

impl fmt::Display for WeightFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The place of a file in a set of shards, `model-00002-of-00005.safetensors`: the Hub's and
/// llama.cpp's common way of naming them.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Shard {
    /// The path without the numbers and the ending: the same for all shards of a set.
    pub set: String,
    /// From 1, or from 0 in old sets.
    pub index: u32,
    pub count: u32,
}

impl Shard {
    /// `None` if the name has no `-<index>-of-<count>` right before its ending.
    pub fn of(path: &RepoPath) -> Option<Self> {
        let stem = path.as_str().rsplit_once('.').map_or(path.as_str(), |(stem, _)| stem);
        let (rest, count) = stem.rsplit_once("-of-")?;
        let (set, index) = rest.rsplit_once('-')?;
        let number = |text: &str| {
            let digits = text.len() >= 2 && text.len() <= 6 && text.bytes().all(|b| b.is_ascii_digit());
            digits.then(|| text.parse::<u32>().ok()).flatten()
        };
        let (index, count) = (number(index)?, number(count)?);
        (count > 0 && index <= count).then(|| Self { set: set.to_owned(), index, count })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn format_of(path: &str) -> Option<WeightFormat> {
        WeightFormat::of(&RepoPath::parse(path).unwrap())
    }

    #[test]
    fn pickles_are_told_from_files_that_run_nothing() {
        for path in ["pytorch_model.bin", "a.pt", "a.PTH", "a.ckpt", "a.pkl", "a.joblib", "a.pickle", "a.nemo"] {
            assert!(format_of(path).is_some_and(WeightFormat::is_pickle), "{path}");
        }
        for path in ["a.h5", "a.keras", "saved_model.pb", "a.llamafile", "a.engine"] {
            assert!(format_of(path).is_some_and(|f| f.can_run_code() && !f.is_pickle()), "{path}");
        }
        for path in ["a.safetensors", "a.gguf", "a.onnx", "ggml-base.bin", "openvino_model.bin", "a.tflite"] {
            assert!(format_of(path).is_some_and(|f| !f.can_run_code()), "{path}");
        }
        assert_eq!(format_of("config.json"), None);
        assert_eq!(format_of("m.Q6_K.gguf.part1of2"), Some(WeightFormat::Gguf));
        assert_eq!(format_of("m.gguf.json"), None);
        assert_eq!(format_of("model.safetensors.index.json"), None);
    }

    #[test]
    fn shards_of_a_set_share_its_name() {
        let shard = |path: &str| Shard::of(&RepoPath::parse(path).unwrap());
        let second = shard("q4/model-00002-of-00005.safetensors").unwrap();
        assert_eq!((second.set.as_str(), second.index, second.count), ("q4/model", 2, 5));
        for path in
            ["model.safetensors", "a-of-b.bin", "x-00006-of-00005.gguf", "x-1-of-2.gguf", "x-00001-of-00000.bin"]
        {
            assert_eq!(shard(path), None, "{path}");
        }
    }
}
