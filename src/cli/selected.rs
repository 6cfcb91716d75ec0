//! Which files a command is about: its flags, the message that they make, and a selection in words.

use clap::{Args, ValueEnum};

use super::failure::{Failure, Outcome};
use crate::pb;

/// Which files: everything, unless some of these narrow it.
#[derive(Args, Default, Clone)]
pub(super) struct Selected {
    /// Files, or folders with everything in them
    #[arg(value_name = "FILES")]
    paths: Vec<String>,
    /// Include only files that match this glob; `*` also matches `/`
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Exclude files that match this glob
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Which weights to download
    #[arg(long)]
    preset: Option<Preset>,
    /// Which GGUF quantisation, e.g. Q4_K_M (implies --preset gguf)
    #[arg(long, value_name = "NAME", visible_alias = "quant")]
    quantisation: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Preset {
    /// Weights as safetensors only, each set once
    Safetensors,
    /// One GGUF quantisation: the one named, else the smallest, with its projector
    Gguf,
}

impl Selected {
    pub(super) fn message(self) -> Outcome<pb::Selection> {
        let quantisation = self.quantisation.unwrap_or_default();
        if !quantisation.is_empty() && self.preset == Some(Preset::Safetensors) {
            return Err(Failure::usage("--quantisation requires --preset gguf"));
        }
        let preset = match self.preset {
            Some(Preset::Safetensors) => pb::selection::Preset::Safetensors,
            Some(Preset::Gguf) => pb::selection::Preset::Gguf,
            None if !quantisation.is_empty() => pb::selection::Preset::Gguf,
            None => pb::selection::Preset::Unspecified,
        };
        let (paths, include, exclude) = (self.paths, self.include, self.exclude);
        Ok(pb::Selection { paths, include, exclude, preset: preset.into(), quantisation })
    }
}

/// A selection in words; empty if it is everything.
pub(super) fn describe(selection: &pb::Selection) -> String {
    let mut parts = Vec::new();
    parts.extend((!selection.paths.is_empty()).then(|| selection.paths.join(", ")));
    parts.extend((!selection.include.is_empty()).then(|| format!("include {}", selection.include.join(", "))));
    parts.extend((!selection.exclude.is_empty()).then(|| format!("exclude {}", selection.exclude.join(", "))));
    parts.extend(match selection.preset() {
        pb::selection::Preset::Unspecified => None,
        preset => Some(format!("{} {}", preset.as_str_name(), selection.quantisation).trim().to_owned()),
    });
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::super::failure::Code;
    use super::*;

    #[test]
    fn a_quantisation_means_gguf_and_everything_is_said_in_words() {
        let selected =
            Selected { quantisation: Some("Q4_K_M".into()), exclude: vec!["*.md".into()], ..Selected::default() };
        let selection = selected.message().unwrap();
        assert_eq!(selection.preset(), pb::selection::Preset::Gguf);
        assert_eq!(describe(&selection), "exclude *.md; gguf Q4_K_M");
        assert_eq!(describe(&pb::Selection::default()), "");
        let both =
            Selected { preset: Some(Preset::Safetensors), quantisation: Some("Q8_0".into()), ..Selected::default() };
        assert_eq!(both.message().unwrap_err().code, Code::Usage);
    }
}
