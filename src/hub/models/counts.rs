//! Sums of what was read or told of a model's weights. One of which a part is not known is not known.

use serde_json::Value;

use crate::domain::facts::{self, packed};
use crate::domain::{ModelFacts, WeightFormat, WeightSet};

/// Adds sets of weights to what the config files say: adapters beside the model; several sets as its parts.
pub(super) fn add_weights(facts: &mut ModelFacts, weighed: Vec<(WeightSet, ModelFacts)>) {
    let (adapters, models): (Vec<_>, Vec<_>) = weighed.into_iter().partition(|(_, of_set)| of_set.adapter.is_some());
    adapters.into_iter().for_each(|(_, of_set)| facts.merge(of_set));
    if models.len() > 1 {
        let part = |(set, of_set): &(WeightSet, ModelFacts)| facts::Component {
            name: set.name.clone(),
            parameters: of_set.parameters,
            weight_bytes: of_set.weight_bytes,
            ..facts::Component::default()
        };
        facts.components = models.iter().map(part).collect();
    }
    add_counts(facts, models.into_iter().map(|(_, of_set)| of_set).collect());
}

/// Adds facts of all the weights of a model. Its sums are known if all of them are.
pub(super) fn add_counts(facts: &mut ModelFacts, weighed: Vec<ModelFacts>) {
    let is_counted = weighed.iter().all(|of_set| of_set.parameters.is_some());
    let is_weighed = weighed.iter().all(|of_set| of_set.weight_bytes.is_some());
    for mut of_set in weighed {
        if !is_counted {
            (of_set.parameters, of_set.dtypes) = (None, Vec::new());
        }
        of_set.weight_bytes = of_set.weight_bytes.filter(|_| is_weighed);
        facts.merge(of_set);
    }
}

/// Takes what upstream counted itself (`safetensors`, `gguf` in the info) for a set that was not counted here: the one
/// that is a model, or else the one adapter. `config` says whether values are packed.
pub(super) fn count_by_info(weighed: &mut [(WeightSet, ModelFacts)], info: &Value, config: &ModelFacts) {
    let (adapters, models): (Vec<_>, Vec<_>) = weighed.iter_mut().partition(|(_, facts)| facts.adapter.is_some());
    let mut meant = if models.is_empty() { adapters } else { models };
    let [(set, facts)] = meant.as_mut_slice() else { return };
    let mut dtypes = Vec::new();
    let parameters = if set.format == WeightFormat::Gguf {
        info["gguf"]["total"].as_u64()
    } else {
        let bytes = facts.weight_bytes.unwrap_or(0);
        let is_quantised = config.quantisation.is_some() || facts.quantisation.is_some();
        let counts = info["safetensors"]["parameters"].as_object().and_then(|counts| {
            let counts = counts.iter().filter_map(|(name, count)| Some((name.clone(), count.as_u64()?))).collect();
            packed::values_of(counts, bytes, is_quantised, config.value_bits)
        });
        dtypes = counts.clone().unwrap_or_default();
        counts.map(|counts| packed::sum(&counts))
    };
    match &mut facts.adapter {
        Some(adapter) => adapter.parameters = adapter.parameters.or(parameters),
        None if facts.parameters.is_some() => {}
        None => {
            (facts.parameters, facts.dtypes) = (parameters, dtypes);
            if set.format == WeightFormat::Gguf {
                facts.architecture = info["gguf"]["architecture"].as_str().map(str::to_owned);
                facts.context_length = info["gguf"]["context_length"].as_u64();
            }
        }
    }
}
