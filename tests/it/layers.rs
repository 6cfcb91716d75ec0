//! The floors of the house (src/lib.rs): an arrow only ever points down.

use std::path::{Path, PathBuf};

/// Floor by module. Config, crypto, machine, metrics, telemetry and shutdown are leaves: everybody may use them,
/// and they use nothing above the domain.
const FLOORS: [(&str, u8); 16] = [
    ("domain", 0),
    ("config", 0),
    ("crypto", 0),
    ("machine", 0),
    ("metrics", 0),
    ("pb", 0),
    ("telemetry", 0),
    ("shutdown", 0),
    ("db", 1),
    ("blob", 1),
    ("upstream", 1),
    ("hub", 2),
    ("api", 3),
    ("worker", 3),
    ("app", 4),
    ("cli", 4),
];

/// What a handler may name of the adapters: the types in which `hub` gives pages and pieces, and
/// the mark that stands for our own address in kept answers.
const API_MAY_NAME: [&str; 4] = ["db::TreePage", "upstream::BASE_MARK", "upstream::encode", "blob::read_at"];

fn floor(module: &str) -> u8 {
    let found = FLOORS.iter().find(|(name, _)| *name == module);
    found.unwrap_or_else(|| panic!("src/{module} has no floor: give it one here and in src/lib.rs")).1
}

pub(crate) fn sources(dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            sources(&path, into);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            into.push(path);
        }
    }
}

/// Every `crate::…` path in the code of a file, braces of `use` taken apart one level deep:
/// `use crate::{db, hub::Hub}` gives `db` and `hub::Hub`.
fn crate_paths(code: &str) -> Vec<String> {
    let is_path = |c: char| c.is_ascii_alphanumeric() || c == '_' || c == ':';
    let mut paths = Vec::new();
    for (at, _) in code.match_indices("crate::") {
        if code[..at].ends_with(|c: char| c == '$' || is_path(c)) {
            continue;
        }
        let rest = &code[at + "crate::".len()..];
        let plain: String = rest.chars().take_while(|c| is_path(*c)).collect();
        match rest[plain.len()..].strip_prefix('{') {
            Some(group) => paths.extend(items(group).iter().map(|item| format!("{plain}{item}"))),
            None => paths.push(plain),
        }
    }
    paths
}

/// The items of a brace group that has just been opened.
pub(crate) fn items(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut items = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => items.push(String::new()),
            c if !c.is_whitespace() && depth == 0 => items.last_mut().unwrap().push(c),
            _ => {}
        }
    }
    items.retain(|item| !item.is_empty());
    items
}

/// A file without comments and without its tests, which may use what they like.
pub(crate) fn code_of(path: &Path) -> String {
    let text = std::fs::read_to_string(path).unwrap();
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
    text.lines().map(|line| line.split("//").next().unwrap()).collect::<Vec<_>>().join("\n")
}

struct Source {
    name: String,
    module: String,
    code: String,
}

fn all_sources() -> Vec<Source> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut paths = Vec::new();
    sources(&root, &mut paths);
    let of = |path: &PathBuf| {
        let name = path.strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
        let module = name.split('/').next().unwrap().trim_end_matches(".rs").to_owned();
        Source { code: code_of(path), name, module }
    };
    let sources: Vec<_> = paths.iter().map(of).filter(|s| !matches!(s.module.as_str(), "lib" | "main")).collect();
    assert!(sources.len() > 40, "only {} files were read", sources.len());
    sources
}

#[test]
fn no_arrow_points_up_and_adapters_do_not_name_each_other() {
    let mut wrong = Vec::new();
    for source in all_sources() {
        for path in crate_paths(&source.code) {
            let target = path.split("::").next().unwrap();
            let is_up = floor(target) > floor(&source.module);
            let is_beside = target != source.module && floor(target) == 1 && floor(&source.module) == 1;
            if is_up || is_beside {
                wrong.push(format!("{} names crate::{path}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn handlers_reach_the_adapters_only_through_the_hub() {
    let mut wrong = Vec::new();
    for source in all_sources().iter().filter(|source| source.module == "api") {
        for path in crate_paths(&source.code) {
            let is_adapter = floor(path.split("::").next().unwrap()) == 1;
            if is_adapter && !API_MAY_NAME.contains(&path.as_str()) {
                wrong.push(format!("{} names crate::{path}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn each_foreign_crate_stays_in_its_room() {
    // What may name them: HTTP in belongs to the edges, HTTP out to upstream, SQL to the database.
    let rooms = [
        ("axum", &["api"][..]),
        ("hyper", &["api"]),
        // The command line asks the admin API.
        ("reqwest", &["cli", "upstream"]),
        ("sqlx", &["db"]),
        ("clap", &["cli"]),
        ("memmap2", &["api", "blob"]),
    ];
    let mut wrong = Vec::new();
    for source in all_sources() {
        for (name, modules) in rooms {
            let is_word =
                |at: usize| !source.code[..at].ends_with(|c: char| c.is_ascii_alphanumeric() || "_:".contains(c));
            let names = source.code.match_indices(&format!("{name}::")).any(|(at, _)| is_word(at));
            if names && !modules.contains(&source.module.as_str()) {
                wrong.push(format!("{} names {name}", source.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn the_reader_of_paths_sees_what_it_should() {
    let code = "use crate::hub::{self, Hub};\nuse crate::{blob, db::{Db, Row}, api};\nlet x = crate::metrics::f();\n$crate::db::x";
    assert_eq!(crate_paths(code), ["hub::self", "hub::Hub", "blob", "db::", "api", "metrics::f"]);
}
