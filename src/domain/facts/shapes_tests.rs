//! Parameters and bytes of real models, from heads with the shapes of their real tensors.

use super::*;

/// The head of a file with these tensors (so many of each shape) of 16-bit values, and its size.
fn facts_of(tensors: &[(u64, &[u64])]) -> ModelFacts {
    let (mut entries, mut end) = (Vec::new(), 0);
    for (count, shape) in tensors {
        let bytes = 2 * shape.iter().product::<u64>();
        for _ in 0..*count {
            let name = entries.len();
            entries.push(format!(
                r#""t{name}":{{"dtype":"BF16","shape":{shape:?},"data_offsets":[{end},{}]}}"#,
                end + bytes
            ));
            end += bytes;
        }
    }
    let head = samples::safetensors(&format!("{{{}}}", entries.join(",")), 0);
    match safetensors::read(&head, head.len() as u64 + end) {
        Ok(Reading::Done(found)) => found.facts(),
        other => panic!("{other:?}"),
    }
}

fn check(name: &str, tensors: &[(u64, &[u64])], parameters: u64) {
    let facts = facts_of(tensors);
    assert_eq!((facts.parameters, facts.weight_bytes), (Some(parameters), Some(2 * parameters)), "{name}");
}

#[test]
fn parameters_of_real_models_are_those_of_their_tensors() {
    // 2 × 128256 × 4096 + 32 × (2 × 4096² + 2 × 1024 × 4096 + 3 × 14336 × 4096 + 2 × 4096) + 4096
    // = 1 050 673 152 + 32 × 218 112 000 + 4096.
    let llama: &[(u64, &[u64])] =
        &[(2, &[128_256, 4096]), (64, &[4096, 4096]), (64, &[1024, 4096]), (96, &[14_336, 4096]), (65, &[4096])];
    check("Llama 3 8B", llama, 8_030_261_248);
    // 2 × 32000 × 4096 + 32 × (41 943 040 + 8 × 3 × 14336 × 4096 + 8 × 4096 + 8192) + 4096
    // = 262 144 000 + 32 × 1 451 270 144 + 4096.
    let mixtral: &[(u64, &[u64])] = &[
        (2, &[32_000, 4096]),
        (64, &[4096, 4096]),
        (64, &[1024, 4096]),
        (768, &[14_336, 4096]),
        (32, &[8, 4096]),
        (65, &[4096]),
    ];
    check("Mixtral 8x7B", mixtral, 46_702_792_704);
    // 2 × 151936 × 2048 + 48 × (2 × 4096 × 2048 + 2 × 512 × 2048 + 128 × 3 × 768 × 2048 + 128 × 2048 + 2 × 128
    // + 2 × 2048) + 2048 = 622 329 856 + 48 × 623 120 640 + 2048.
    let qwen: &[(u64, &[u64])] = &[
        (2, &[151_936, 2048]),
        (96, &[4096, 2048]),
        (96, &[512, 2048]),
        (18_432, &[768, 2048]),
        (48, &[128, 2048]),
        (96, &[128]),
        (97, &[2048]),
    ];
    check("Qwen3-30B-A3B", qwen, 30_532_122_624);
    // The embedding is shared with the head: 256000 × 3584 + 42 × (2 × 4096 × 3584 + 2 × 2048 × 3584
    // + 3 × 14336 × 3584 + 4 × 3584) + 3584 = 917 504 000 + 42 × 198 195 200 + 3584.
    let gemma: &[(u64, &[u64])] =
        &[(1, &[256_000, 3584]), (84, &[4096, 3584]), (84, &[2048, 3584]), (126, &[14_336, 3584]), (169, &[3584])];
    check("Gemma 2 9B", gemma, 9_241_705_984);
}
