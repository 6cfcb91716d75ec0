//! Modules that stand beside each other do not name each other in a circle: each can be read after those that it names.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::layers::{code_of, items, sources};

/// For each file or folder of a folder, which others of that folder it names: as `prefix::name`.
fn arrows(folder: &str, prefixes: &[&str]) -> BTreeMap<String, BTreeSet<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let mut arrows: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for path in paths {
        let first = path.strip_prefix(&root).unwrap().iter().next().unwrap().to_str().unwrap().to_owned();
        // The roots name all of their modules.
        if !["lib.rs", "main.rs", "mod.rs"].contains(&first.as_str()) {
            let named = names(&code_of(&path), prefixes);
            arrows.entry(first.trim_end_matches(".rs").to_owned()).or_default().extend(named);
        }
    }
    let known: BTreeSet<String> = arrows.keys().cloned().collect();
    for (module, named) in &mut arrows {
        named.retain(|name| name != module && known.contains(name));
    }
    arrows
}

/// The first name after each prefix: `super::{a::b, c}` gives a and c.
fn names(code: &str, prefixes: &[&str]) -> BTreeSet<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = BTreeSet::new();
    for prefix in prefixes {
        for (at, _) in code.match_indices(prefix).filter(|(at, _)| !code[..*at].ends_with(is_word)) {
            let rest = &code[at + prefix.len()..];
            let paths = rest.strip_prefix('{').map_or_else(|| vec![rest.to_owned()], items);
            found.extend(paths.iter().map(|path| path.chars().take_while(|c| is_word(*c)).collect()));
        }
    }
    found
}

/// What is left when those that name nobody are taken away again and again: the circles, and who leads to them.
fn circles(mut arrows: BTreeMap<String, BTreeSet<String>>) -> BTreeMap<String, BTreeSet<String>> {
    loop {
        let ends: Vec<String> =
            arrows.iter().filter(|(_, named)| named.is_empty()).map(|(name, _)| name.clone()).collect();
        if ends.is_empty() {
            return arrows;
        }
        arrows.retain(|name, _| !ends.contains(name));
        arrows.values_mut().for_each(|named| named.retain(|name| !ends.contains(name)));
    }
}

#[test]
fn modules_of_the_command_line_the_admin_api_and_the_mock_stand_in_no_circle() {
    for (folder, prefixes, least) in [
        ("src/cli", &["super::", "crate::cli::"], 15),
        ("src/api/admin", &["super::", "crate::api::admin::"], 8),
        ("mock-hf/src", &["super::", "crate::"], 20),
    ] {
        let arrows = arrows(folder, prefixes);
        assert!(arrows.len() >= least, "only {} modules were read in {folder}", arrows.len());
        let circles = circles(arrows);
        assert!(circles.is_empty(), "{folder}: {circles:#?}");
    }
}

#[test]
fn a_circle_is_seen() {
    let code = "use super::{a::Thing, b};\nuse crate::cli::c::d;\nlet x = super::e::f();";
    assert_eq!(names(code, &["super::", "crate::cli::"]), ["a", "b", "c", "e"].map(str::to_owned).into());
    let one = |name: &str, named: &[&str]| (name.to_owned(), named.iter().map(|n| (*n).to_owned()).collect());
    let round = circles([one("a", &["b"]), one("b", &["c"]), one("c", &["b", "d"]), one("d", &[])].into());
    assert_eq!(round.keys().collect::<Vec<_>>(), ["a", "b", "c"]);
}
