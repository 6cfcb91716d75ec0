//! Listings of repositories as their publishers name files.

use super::*;

fn paths(text: &str) -> Vec<RepoPath> {
    text.split_whitespace().map(|path| RepoPath::parse(path).unwrap()).collect()
}

/// A repository: its quantisations with their files, the helpers, and what comes with one model's file.
struct Case {
    /// After whom it is made.
    publisher: &'static str,
    /// `QUANTISATION: files`, one a line; `-` for models that name none.
    models: &'static str,
    /// Files of each role but `Model`.
    helpers: &'static [(GgufRole, &'static str)],
    /// A model's file, and the projectors that go with it.
    with: Option<(&'static str, &'static str)>,
}

use GgufRole::{Adapter, Drafter, ImportanceMatrix, Projector, Vocabulary};

const CASES: &[Case] = &[
    Case {
        publisher: "unsloth: splits in folders, dynamic quantisations, projectors in three precisions",
        models: "BF16: BF16/Qwen3-VL-30B-BF16-00001-of-00002.gguf BF16/Qwen3-VL-30B-BF16-00002-of-00002.gguf
            Q4_K_M: Qwen3-VL-30B-Q4_K_M.gguf
            UD-Q4_K_XL: Qwen3-VL-30B-UD-Q4_K_XL.gguf
            UD-TQ1_0: Qwen3-VL-30B-UD-TQ1_0.gguf
            IQ4_NL: Qwen3-VL-30B-IQ4_NL.gguf
            MXFP4_MOE: MXFP4_MOE/Qwen3-VL-30B-MXFP4_MOE-00001-of-00001.gguf",
        helpers: &[
            (Projector, "mmproj-BF16.gguf mmproj-F16.gguf mmproj-F32.gguf"),
            (ImportanceMatrix, "imatrix_unsloth.gguf"),
        ],
        // 4 bits are as far from BF16 as from F16: the first.
        with: Some(("Qwen3-VL-30B-Q4_K_M.gguf", "mmproj-BF16.gguf")),
    },
    Case {
        publisher: "unsloth: the older folders",
        models: "UD-IQ1_S: DeepSeek-R1-UD-IQ1_S/DeepSeek-R1-UD-IQ1_S-00001-of-00002.gguf \
                DeepSeek-R1-UD-IQ1_S/DeepSeek-R1-UD-IQ1_S-00002-of-00002.gguf
            Q8_0: DeepSeek-R1.Q8_0/DeepSeek-R1.Q8_0-00001-of-00001.gguf",
        helpers: &[],
        with: None,
    },
    Case {
        publisher: "unsloth: draft heads beside the model",
        models: "Q8_0: gemma-4-26B-A4B-it-Q8_0.gguf
            UD-Q4_K_XL: gemma-4-26B-A4B-it-UD-Q4_K_XL.gguf",
        helpers: &[(
            Drafter,
            "MTP/gemma-4-26B-A4B-it-BF16-MTP.gguf MTP/head-Q8_0.gguf gemma-4-26B-A4B-it-Q4_0-MTP.gguf \
             mtp-gemma-4-26B-A4B-it.gguf",
        )],
        with: Some(("gemma-4-26B-A4B-it-Q8_0.gguf", "")),
    },
    Case {
        publisher: "a model that has its draft heads inside",
        models: "Q8_0: Qwen3.6-27B-MTP-Q8_0.gguf
            Q4_K_M: Qwen3.6-27B-MTP-Q4_K_M.gguf",
        helpers: &[],
        with: None,
    },
    Case {
        publisher: "ggml-org: drafters of every kind",
        models: "Q4_K_M: DeepSeek-V4-Q4_K_M.gguf",
        helpers: &[(
            Drafter,
            "dflash-DeepSeek-V4-Q4_K_M.gguf dspark-DeepSeek-V4-Q4_K_M.gguf eagle3-DeepSeek-V4-BF16.gguf \
             MTP-DeepSeek-V4-Q8_0.gguf DeepSeek-V4-eagle3-Q8_0.gguf",
        )],
        with: None,
    },
    Case {
        publisher: "a repository of drafters: they are its model",
        models: "Q8_0: eagle3-Llama-3.3-70B-Q8_0.gguf
            BF16: eagle3-Llama-3.3-70B-BF16.gguf",
        helpers: &[(ImportanceMatrix, "imatrix.gguf")],
        with: None,
    },
    Case {
        publisher: "bartowski: `_L`, ARM's, folders, an imatrix after the name",
        models: "Q6_K_L: google_gemma-3-4b-it-Q6_K_L.gguf
            Q4_0_4_4: google_gemma-3-4b-it-Q4_0_4_4.gguf
            IQ3_M: google_gemma-3-4b-it-IQ3_M.gguf
            Q3_K_XL: google_gemma-3-4b-it-Q3_K_XL.gguf
            BF16: google_gemma-3-4b-it-bf16/google_gemma-3-4b-it-bf16-00001-of-00002.gguf \
                google_gemma-3-4b-it-bf16/google_gemma-3-4b-it-bf16-00002-of-00002.gguf",
        helpers: &[
            (Projector, "mmproj-google_gemma-3-4b-it-bf16.gguf mmproj-google_gemma-3-4b-it-f16.gguf"),
            (ImportanceMatrix, "google_gemma-3-4b-it-imatrix.gguf"),
        ],
        with: Some((
            "google_gemma-3-4b-it-bf16/google_gemma-3-4b-it-bf16-00001-of-00002.gguf",
            "mmproj-google_gemma-3-4b-it-bf16.gguf",
        )),
    },
    Case {
        publisher: "lmstudio-community",
        models: "Q4_K_M: gemma-3-4b-it-Q4_K_M.gguf
            MXFP4: gpt-oss-20b-MXFP4.gguf
            Q8_0: gemma-3-4b-it-Q8_0.gguf",
        helpers: &[(Projector, "mmproj-model-f16.gguf")],
        with: Some(("gemma-3-4b-it-Q4_K_M.gguf", "mmproj-model-f16.gguf")),
    },
    Case {
        publisher: "mradermacher: after dots, joined parts, projectors and matrices in the middle",
        models: "i1-Q2_K: B.i1-Q2_K.gguf
            i1-Q6_K: B.i1-Q6_K.gguf.part1of2 B.i1-Q6_K.gguf.part2of2
            Q4_K_M: B.Q4_K_M.gguf",
        helpers: &[
            (Projector, "B.mmproj-Q8_0.gguf B.mmproj-f16.gguf"),
            (ImportanceMatrix, "B.imatrix.gguf B.i1.imatrix.gguf"),
        ],
        with: Some(("B.Q4_K_M.gguf", "B.mmproj-Q8_0.gguf")),
    },
    Case {
        publisher: "ggml-org: small letters, projectors of their own precision",
        models: "MXFP4: gpt-oss-120b-mxfp4-00001-of-00003.gguf gpt-oss-120b-mxfp4-00002-of-00003.gguf \
                gpt-oss-120b-mxfp4-00003-of-00003.gguf
            Q4_0: tiny_model_q4_0.gguf",
        helpers: &[
            (Projector, "mmproj-Qwen2.5-VL-7B-Instruct-Q8_0.gguf mmproj-Qwen2.5-VL-7B-Instruct-f16.gguf"),
            (Vocabulary, "ggml-vocab-llama-bpe.gguf Qwen-vocab.gguf"),
            (Adapter, "Qwen2.5-VL-7B-F16-LoRA.gguf lora-abliterated-f16.gguf"),
        ],
        with: Some(("tiny_model_q4_0.gguf", "mmproj-Qwen2.5-VL-7B-Instruct-Q8_0.gguf")),
    },
    Case {
        publisher: "TheBloke: parts with letters",
        models: "Q4_K_M: llama-2-70b.Q4_K_M.gguf
            Q6_K: llama-2-70b.Q6_K.gguf-split-a llama-2-70b.Q6_K.gguf-split-b",
        helpers: &[],
        with: None,
    },
    Case {
        publisher: "one folder per quantisation, with its own projector",
        models: "Q4_K_M: Q4_K_M/model.gguf
            Q8_0: Q8_0/model-00001-of-00002.gguf Q8_0/model-00002-of-00002.gguf",
        helpers: &[(Projector, "Q4_K_M/mmproj.gguf Q8_0/mmproj.gguf")],
        with: Some(("Q8_0/model-00002-of-00002.gguf", "Q8_0/mmproj.gguf")),
    },
    Case {
        publisher: "QuantStack: two models that are used together",
        models: "Q4_K_M: HighNoise/Wan2.2-HighNoise-Q4_K_M.gguf LowNoise/Wan2.2-LowNoise-Q4_K_M.gguf
            Q8_0: HighNoise/Wan2.2-HighNoise-Q8_0.gguf LowNoise/Wan2.2-LowNoise-Q8_0.gguf",
        helpers: &[],
        with: None,
    },
    Case {
        publisher: "several models, each with its projector",
        models: "Q4_0: small-Q4_0.gguf
            F16: large-fp16.gguf",
        helpers: &[(Projector, "mmproj-large-f16.gguf mmproj-small-f16.gguf mmproj-small-f32.gguf")],
        // The names do not say whose is whose.
        with: Some(("small-Q4_0.gguf", "mmproj-large-f16.gguf mmproj-small-f16.gguf")),
    },
    Case {
        publisher: "DavidAU: a model that was made with an importance matrix",
        models: "Q4_K_M: L3-NEO-IMATRIX-Q4_k_m.gguf
            Q8_0: L3-NEO-D_AU-Q8_0-imat.gguf",
        helpers: &[],
        with: None,
    },
    Case {
        publisher: "names without a quantisation",
        models: "Q4_K_M: bad-Q4_K_M.gguf
            -: bad.gguf stories260K.gguf",
        helpers: &[(ImportanceMatrix, "bad-Q8_0-imatrix.gguf")],
        with: None,
    },
    Case {
        publisher: "mistralai: the quantisation right behind the name",
        models: "Q4_K_M: devstralQ4_K_M.gguf
            F16: devstralF16.gguf",
        helpers: &[],
        with: None,
    },
    Case {
        publisher: "xtuner: words of other libraries",
        models: "INT4: llava-llama-3-8b-v1_1-int4.gguf
            F16: llava-llama-3-8b-v1_1-f16.gguf",
        helpers: &[(Projector, "llava-llama-3-8b-v1_1-mmproj-f16.gguf")],
        with: Some(("llava-llama-3-8b-v1_1-int4.gguf", "llava-llama-3-8b-v1_1-mmproj-f16.gguf")),
    },
    Case { publisher: "nothing that runs", models: "", helpers: &[(Projector, "mmproj.gguf")], with: None },
];

#[test]
fn repositories_of_every_publisher_are_understood() {
    for Case { publisher, models, helpers, with } in CASES {
        let all = models.split_whitespace().filter(|word| !word.ends_with(':')).chain(helpers.iter().map(|(_, p)| *p));
        let listed = paths(&format!("README.md {} config.json", all.collect::<Vec<_>>().join(" ")));
        let files = classify(&listed);
        assert_eq!(files.len(), listed.len() - 2, "{publisher}: README.md and config.json are passed over");

        let mut expected: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in models.lines() {
            let (name, rest) = line.trim().split_once(':').unwrap();
            expected.insert(name.to_owned(), rest.split_whitespace().map(str::to_owned).collect());
        }
        let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (path, file) in files.iter().filter(|(_, file)| file.role == GgufRole::Model) {
            let name = file.quantisation.clone().unwrap_or_else(|| "-".into());
            found.entry(name).or_default().push(path.to_string());
        }
        assert_eq!(found, expected, "{publisher}");
        for (role, which) in *helpers {
            for path in paths(which) {
                assert_eq!(files[&path].role, *role, "{publisher}: {path}");
            }
        }
        let named: Vec<String> = quantisations(&files, |_| 1).into_iter().map(|one| one.name).collect();
        let mut sorted = named.clone();
        sorted.sort();
        let labels: Vec<&String> = expected.keys().filter(|name| *name != "-").collect();
        assert_eq!(sorted.iter().collect::<Vec<_>>(), labels, "{publisher}");
        if let Some((model, expected)) = with {
            let model = listed.iter().find(|path| path.as_str() == *model).unwrap();
            let taken = projectors(&files, [model]);
            assert_eq!(taken.iter().map(|path| path.as_str()).collect::<Vec<_>>().join(" "), *expected, "{publisher}");
        }
    }
}

#[test]
fn models_of_several_folders_take_the_projectors_of_each_and_all_parts_of_them() {
    let listed = paths(
        "a/m-Q4_0.gguf a/mmproj-F16-00001-of-00002.gguf a/mmproj-F16-00002-of-00002.gguf a/mmproj-F32.gguf \
         b/c/m-Q4_0.gguf b/mmproj-F16.gguf ab/mmproj-F16.gguf",
    );
    let files = classify(&listed);
    let models = files.iter().filter(|(_, file)| file.role == GgufRole::Model).map(|(path, _)| *path);
    let taken: Vec<&str> = projectors(&files, models).into_iter().map(RepoPath::as_str).collect();
    assert_eq!(taken, ["a/mmproj-F16-00001-of-00002.gguf", "a/mmproj-F16-00002-of-00002.gguf", "b/mmproj-F16.gguf"]);
    assert!(projectors(&files, []).is_empty());
}

#[test]
fn the_smallest_comes_first_with_all_parts_counted_and_a_lack_of_parts_known() {
    let listed =
        paths("a-Q8_0-00001-of-00002.gguf a-Q8_0-00002-of-00002.gguf a-Q4_K_M.gguf a-Q2_K-00002-of-00003.gguf");
    let files = classify(&listed);
    let found = quantisations(&files, |path| if path.as_str().contains("Q8_0") { 50 } else { 60 });
    let short: Vec<_> = found.iter().map(|one| (one.name.as_str(), one.files, one.bytes, one.complete)).collect();
    assert_eq!(short, [("Q2_K", 1, 60, false), ("Q4_K_M", 1, 60, true), ("Q8_0", 2, 100, true)]);
    assert_eq!(found[2].first.as_str(), "a-Q8_0-00001-of-00002.gguf");
    // From 0, as openai/gpt-oss counts: three parts whose names say two.
    let complete = |parts: &str| {
        let listed = paths(parts);
        quantisations(&classify(&listed), |_| 1)[0].complete
    };
    let parts = "a-F16-00000-of-00002.gguf a-F16-00001-of-00002.gguf a-F16-00002-of-00002.gguf";
    assert!(complete(parts) && !complete("a-F16-00000-of-00002.gguf a-F16-00002-of-00002.gguf"));
    // Others count from 0 to one less.
    assert!(complete("a-F16-00000-of-00002.gguf a-F16-00001-of-00002.gguf"));
}

#[test]
fn a_quantisation_is_found_without_its_prefix_if_that_is_clear() {
    let listed = paths("m-UD-Q4_K_XL.gguf m-Q2_K.gguf m.i1-Q2_K.gguf m-UD-IQ1_S.gguf m.i1-IQ1_S.gguf m-f16.gguf");
    let files = classify(&listed);
    let found = quantisations(&files, |_| 1);
    let name = |wanted: &str| find(&found, wanted).map(|one| one.name.as_str());
    assert_eq!(name("q4_k_xl"), Some("UD-Q4_K_XL"));
    assert_eq!(name("ud-q4_k_xl"), Some("UD-Q4_K_XL"));
    assert_eq!(name("Q2_K"), Some("Q2_K"), "exactly that comes first");
    assert_eq!(name("I1-Q2_K"), Some("i1-Q2_K"));
    assert_eq!(name("IQ1_S"), None, "there are two");
    assert_eq!(name("FP16"), Some("F16"));
    for unknown in ["Q2", "Q4_K", "BAD", "", "K"] {
        assert_eq!(name(unknown), None, "{unknown}");
    }
}

#[test]
fn matrices_in_other_forms_are_known() {
    for path in paths("imatrix.dat m.imatrix m.i1.imatrix.dat imatrix_unsloth.gguf_file a/imatrix-m-Q8_0.dat") {
        assert!(is_other_matrix(&path), "{path}");
    }
    for path in paths("imatrix.md data.dat README.md m-imatrix.gguf imatrix") {
        assert!(!is_other_matrix(&path), "{path}");
    }
}
