//! Which layers of a model keep which keys and values, from its configuration.
//!
//! Sources: the attention and cache classes of transformers (`configuration_*.py`, `modeling_*.py`), and of the models
//! that bring their own code. Steps: models that keep nothing → the shape of a head → which layers attend, and whether
//! to all tokens or to a window → what a decoder keeps of its encoder. What is not understood counts in full: the
//! estimate may be too large, and is never too small. Without a shape it is unknown.

use super::json::Node;
use super::kv_cache::{KvCache, Tokens};
use super::settings::{Settings, words};

/// Ends of classes that answer in one step.
const ONE_STEP: &[&str] = &[
    "ForMaskedLM",
    "ForSequenceClassification",
    "ForTokenClassification",
    "ForQuestionAnswering",
    "ForMultipleChoice",
    "ForNextSentencePrediction",
    "ForImageClassification",
    "ForVideoClassification",
    "ForAudioClassification",
    "ForAudioFrameClassification",
    "ForMaskedImageModeling",
    "ForObjectDetection",
    "Segmentation",
    "ForDepthEstimation",
    "ForMaskGeneration",
    "ForCTC",
    "ForXVector",
    "EncoderModel",
    "VisionModel",
];

/// Families that answer in one step, and recurrent ones, which keep a state of fixed size.
const WITHOUT_CACHE: &[&str] = &[
    "albert",
    "align",
    "altclip",
    "audio-spectrogram-transformer",
    "beit",
    "bert",
    "big_bird",
    "camembert",
    "canine",
    "chinese_clip",
    "clap",
    "clip",
    "clip_text_model",
    "clip_vision_model",
    "convbert",
    "convnext",
    "data2vec-text",
    "data2vec-vision",
    "deberta",
    "deberta-v2",
    "deit",
    "depth_anything",
    "detr",
    "dinov2",
    "dinov3_vit",
    "distilbert",
    "dpt",
    "electra",
    "ernie",
    "esm",
    "eurobert",
    "falcon_mamba",
    "flaubert",
    "funnel",
    "hubert",
    "layoutlm",
    "layoutlmv2",
    "layoutlmv3",
    "longformer",
    "mamba",
    "mamba2",
    "mobilebert",
    "modernbert",
    "mpnet",
    "nomic_bert",
    "owlv2",
    "owlvit",
    "resnet",
    "roberta",
    "roformer",
    "rwkv",
    "rwkv5",
    "rwkv6",
    "sam",
    "segformer",
    "siglip",
    "siglip2",
    "squeezebert",
    "swin",
    "swinv2",
    "timm_wrapper",
    "vit",
    "wav2vec2",
    "wav2vec2-bert",
    "wavlm",
    "xlm-roberta",
    "xlm-roberta-xl",
    "xlstm",
    "yolos",
];

/// Families whose `sliding_window` holds for every layer.
const ALL_WINDOWED: &[&str] = &["mistral", "mixtral", "starcoder2", "phi3", "phimoe"];

/// What a class of transformers assumes where its configuration says nothing: multimodal models rely on it for their
/// language model.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Assumed {
    pub(super) layers: Option<u64>,
    pub(super) hidden_size: Option<u64>,
    pub(super) heads: Option<u64>,
    pub(super) kv_heads: Option<u64>,
    pub(super) head_dim: Option<u64>,
    pub(super) context_length: Option<u64>,
}

impl Assumed {
    /// For the innermost family that is known here. transformers: `LlamaConfig`, `MistralConfig`, `GemmaConfig`, `Gemma2Config`,
    /// `Gemma3TextConfig`.
    pub(super) fn of(settings: &Settings<'_>) -> Self {
        let sizes = |layers, hidden, heads, kv_heads, head_dim, context| Self {
            layers: Some(layers),
            hidden_size: Some(hidden),
            heads: Some(heads),
            kv_heads,
            head_dim,
            context_length: Some(context),
        };
        let known = |family: &str| match family {
            "llama" => Some(sizes(32, 4096, 32, None, None, 2048)),
            "mistral" => Some(sizes(32, 4096, 32, Some(8), None, 131_072)),
            "gemma" => Some(sizes(28, 3072, 16, Some(16), Some(256), 8192)),
            "gemma2" => Some(sizes(26, 2304, 8, Some(4), Some(256), 8192)),
            "gemma3_text" => Some(sizes(26, 2304, 8, Some(4), Some(256), 131_072)),
            _ => None,
        };
        settings.families().filter_map(known).last().unwrap_or_default()
    }
}

/// The heads of one layer.
pub(super) struct Heads {
    pub(super) layers: Option<u64>,
    pub(super) hidden_size: Option<u64>,
    pub(super) heads: Option<u64>,
    pub(super) kv_heads: Option<u64>,
    pub(super) head_dim: Option<u64>,
}

/// What one layer does with the tokens before.
#[derive(Clone, Copy, PartialEq)]
enum Layer {
    All,
    Window,
    /// Recurrent, or no attention at all.
    Nothing,
}

/// The cache of a model; `None` if its shape is not said.
pub(super) fn kv_cache(file: &Node, settings: &Settings<'_>, heads: &Heads) -> Option<KvCache> {
    if keeps_nothing(file, settings) {
        return Some(KvCache::none());
    }
    let layers = heads.layers?;
    let of_all = values(settings, heads)?;
    let per_layer = settings.list(words::KV_HEADS).filter(|list| list.len() as u64 == layers);
    let most = heads.kv_heads.or(heads.heads).unwrap_or(1).max(1);
    let window = window(settings);
    let kinds = kinds(settings, layers, window);
    let cache = KvCache::of_layers(layers, |at| {
        let kind = kinds.as_ref().and_then(|kinds| kinds.get(at).copied()).unwrap_or(Layer::All);
        let values = match (&per_layer, kind) {
            (Some(list), _) => (of_all.full / most).saturating_mul(list[at]),
            (None, Layer::Window) => of_all.windowed,
            (None, _) => of_all.full,
        };
        match (kind, window) {
            (Layer::Nothing, _) => None,
            (Layer::Window, Some(window)) => Some((values, Tokens::Window(window))),
            _ => Some((values, Tokens::All)),
        }
    });
    let two_stacks = settings.flag("is_encoder_decoder") == Some(true)
        || settings.families().any(|family| matches!(family, "t5" | "mt5" | "umt5" | "longt5" | "whisper"));
    if !two_stacks {
        return Some(cache);
    }
    // Whisper looks at 30 s of sound, whatever its length; readers of text, at a text that may be as long as the context.
    let sound = settings.whole(&["max_source_positions"]);
    // Dia looks at its text with more heads than at what it said.
    let per_layer =
        settings.whole(&["cross_num_key_value_heads"]).map(|heads| (of_all.full / most).saturating_mul(heads));
    Some(cache.with_cross_attention(per_layer, sound.map_or(Tokens::All, Tokens::Fixed)))
}

fn keeps_nothing(file: &Node, settings: &Settings<'_>) -> bool {
    let class = file.get("architectures").and_then(|list| list.items().first()).and_then(Node::text);
    let one_step = class.is_some_and(|class| ONE_STEP.iter().any(|end| class.ends_with(end)));
    let generates = class.is_some_and(|class| {
        ["ForCausalLM", "LMHeadModel", "ForConditionalGeneration"].iter().any(|end| class.ends_with(end))
    });
    // The whole model's family: CLIP has a `text_config`, and no cache.
    let family = file.get("model_type").and_then(Node::text);
    let recurrent = family.is_some_and(|family| family.contains("mamba") || family.starts_with("rwkv"));
    // diffusers names its classes so: each step of it looks at everything anew.
    let of_pipeline = file.get("_class_name").is_some();
    // timm names its classes so.
    let of_timm = file.get("architecture").is_some() && file.get("pretrained_cfg").is_some();
    let decoder = settings.flag("is_decoder") == Some(true) || (generates && !recurrent);
    let without = family.is_some_and(|family| WITHOUT_CACHE.contains(&family));
    of_pipeline || of_timm || one_step || (without && !decoder)
}

/// Values of one layer for one token.
struct Values {
    full: u64,
    /// Of a layer with a window, where it differs.
    windowed: u64,
}

fn values(settings: &Settings<'_>, heads: &Heads) -> Option<Values> {
    if let Some(latent) = latent(settings) {
        return Some(Values { full: latent, windowed: latent });
    }
    let kv_heads = heads.kv_heads.or(heads.heads)?;
    let key = heads.head_dim.or_else(|| heads.hidden_size?.checked_div(heads.heads?)).filter(|dim| *dim > 0)?;
    let value = settings.whole(&["v_head_dim"]).unwrap_or(key);
    let windowed = kv_heads.saturating_mul(key.saturating_add(value));
    // Gemma 4: layers that see everything have heads of their own.
    let global_heads = settings.whole(&["num_global_key_value_heads"]).unwrap_or(kv_heads);
    let full = match settings.whole(&["global_head_dim"]) {
        Some(global) => global_heads.saturating_mul(global).saturating_mul(2),
        None => windowed,
    };
    Some(Values { full, windowed })
}

/// DeepSeek's latent attention keeps one small vector of a token instead of keys and values, and where it chooses
/// tokens by an index (V3.2) a key for that.
fn latent(settings: &Settings<'_>) -> Option<u64> {
    let (rank, rope) = settings.whole(&["kv_lora_rank"]).zip(settings.whole(&["qk_rope_head_dim"]))?;
    let index = settings.whole(&["index_head_dim"]).unwrap_or(0);
    Some(rank.saturating_add(rope).saturating_add(index))
}

/// The tokens that a layer with a window sees, unless windows are off.
fn window(settings: &Settings<'_>) -> Option<u64> {
    if settings.flag("use_sliding_window") == Some(false) {
        return None;
    }
    settings.whole(words::WINDOW).or_else(|| settings.whole(&["attention_window_size"]))
}

/// What each layer does; `None`: all of them see everything.
fn kinds(settings: &Settings<'_>, layers: u64, window: Option<u64>) -> Option<Vec<Layer>> {
    let count = usize::try_from(layers).ok().filter(|count| *count <= 1024)?;
    let named = settings.words(&["layer_types", "layers_block_type"]).filter(|names| names.len() == count);
    if let Some(names) = named {
        return Some(names.into_iter().map(by_name).collect());
    }
    // Nemotron-H: one letter for each layer.
    if let Some(letters) = settings.find(&["hybrid_override_pattern"], Node::text).filter(|text| text.len() == count) {
        let letter = |letter| if matches!(letter, 'M' | '-' | 'E') { Layer::Nothing } else { Layer::All };
        return Some(letters.chars().map(letter).collect());
    }
    // MiniMax: 1 for each layer with attention.
    if let Some(flags) = settings.list(&["attn_type_list"]).filter(|flags| flags.len() == count) {
        return Some(flags.into_iter().map(|flag| if flag == 0 { Layer::Nothing } else { Layer::All }).collect());
    }
    let every = |of: &dyn Fn(usize) -> bool, other| {
        Some((0..count).map(|at| if of(at) { Layer::All } else { other }).collect::<Vec<_>>())
    };
    // Numbers of the layers with attention, from 0 or from 1: only how many counts.
    let linear = settings.find(&["linear_attn_config"], |node| node.get("full_attn_layers"));
    let numbers = settings.list(&["attn_layer_indices", "full_attn_idxs", "hybrid_layer_ids"]).map(|list| list.len());
    if let Some(attending) = numbers.or(linear.map(|list| list.items().len()).filter(|attending| *attending > 0)) {
        return every(&|at| at < attending, Layer::Nothing);
    }
    // Jamba.
    if let Some(period) = settings.whole(&["attn_layer_period"]) {
        let offset = settings.whole(&["attn_layer_offset"]).unwrap_or(0);
        return every(&|at| at as u64 % period == offset % period, Layer::Nothing);
    }
    // Qwen3-Next, where it does not list its layers.
    if let Some(interval) = settings.whole(&["full_attention_interval"]) {
        return every(&|at| (at as u64 + 1).is_multiple_of(interval), Layer::Nothing);
    }
    // RecurrentGemma: a few kinds in turn.
    if let Some(turn) = settings.words(&["block_types", "_block_types"]) {
        let local = if window.is_some() { Layer::Window } else { Layer::All };
        let kind = |name: &str| if name == "recurrent" { Layer::Nothing } else { local };
        return Some((0..count).map(|at| kind(turn[at % turn.len()])).collect());
    }
    window?;
    let mut families = settings.families();
    let pattern = settings.whole(&["sliding_window_pattern", "_sliding_window_pattern"]).or_else(|| {
        settings.families().find_map(|family| match family {
            "gemma2" => Some(2),
            "gemma3" | "gemma3_text" => Some(6),
            "cohere2" => Some(4),
            _ => None,
        })
    });
    if let Some(pattern) = pattern {
        return every(&|at| (at as u64 + 1).is_multiple_of(pattern), Layer::Window);
    }
    // Qwen2: the first layers see everything.
    if settings.flag("use_sliding_window") == Some(true) {
        let first = settings.whole(&["max_window_layers"]).unwrap_or(layers);
        return every(&|at| (at as u64) < first, Layer::Window);
    }
    families.any(|family| ALL_WINDOWED.contains(&family)).then(|| vec![Layer::Window; count])
}

/// transformers, `ALLOWED_LAYER_TYPES`, and words of models that bring their own code.
fn by_name(name: &str) -> Layer {
    match name {
        "sliding_attention" => Layer::Window,
        "linear_attention" | "mamba" | "mamba2" | "conv" | "recurrent" | "moe" | "mlp" => Layer::Nothing,
        _ => Layer::All,
    }
}
