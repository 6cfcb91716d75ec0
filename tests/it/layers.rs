//! The floors of the house (src/lib.rs): an arrow only ever points down.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Floor by module. Config, crypto, machine, metrics, telemetry and shutdown are leaves: everybody may use them,
/// and they use nothing above the domain.
const FLOORS: [(&str, u8); 17] = [
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
    ("object", 1),
    ("upstream", 1),
    ("hub", 2),
    ("api", 3),
    ("worker", 3),
    ("app", 4),
    ("cli", 4),
];

/// The floors inside `hub`, by room. A room names only those below it.
const HUB_FLOORS: [(&str, u8); 18] = [
    ("error", 0),
    ("caller", 0),
    ("digests", 0),
    ("kept", 0),
    ("coalesce", 1),
    ("pace", 1),
    ("events", 1),
    ("taints", 1),
    ("store", 2),
    ("objects", 3),
    ("settings", 3),
    ("repos", 4),
    ("flights", 4),
    ("jobs", 4),
    ("catalog", 5),
    ("overview", 5),
    ("serve", 6),
    ("models", 7),
];

/// What rooms name of the front: the words that all of them speak, of `error` and `caller`.
const HUB_WORDS: [&str; 6] = ["Error", "Result", "Caller", "Served", "is_outage", "is_own_trouble"];

/// What a handler may name of the adapters: the types in which `hub` gives pages and pieces, and
/// the mark that stands for our own address in kept answers.
const API_MAY_NAME: [&str; 4] = ["db::TreePage", "upstream::BASE_MARK", "upstream::encode", "blob::read_at"];

fn hub_floor(room: &str) -> u8 {
    let found = HUB_FLOORS.iter().find(|(name, _)| *name == room);
    found.unwrap_or_else(|| panic!("src/hub/{room} has no floor: give it one here and in src/hub/mod.rs")).1
}

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
        ("object_store", &["object"]),
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

/// A file of `hub`: where it is below it (`models/import/take`), and its code.
struct HubFile {
    /// `["models", "import", "take"]`; of a folder's own file, `mod`.
    place: Vec<String>,
    code: String,
}

impl HubFile {
    /// Every path in its code that leads to another file of `hub`, from `hub` downwards.
    fn paths(&self) -> Vec<Vec<String>> {
        let absolute = crate_paths(&self.code);
        let absolute = absolute.iter().filter_map(|path| path.strip_prefix("hub::")).map(str::to_owned);
        let mut found: Vec<Vec<String>> = absolute.map(|path| path.split("::").map(str::to_owned).collect()).collect();
        for (at, _) in self.code.match_indices("super::") {
            if self.code[..at].ends_with("super::") || self.code[..at].ends_with(|c: char| c.is_alphanumeric()) {
                continue;
            }
            let mut rest = &self.code[at..];
            // A file's module is the folder that it lies in, or itself: one `super` leads to its folder's own file.
            let mut folder = self.place.clone();
            folder.pop();
            let mut steps = 0;
            while let Some(after) = rest.strip_prefix("super::") {
                rest = after;
                steps += 1;
            }
            let is_folders_own = self.place.last().is_some_and(|name| name == "mod");
            for _ in 0..(if is_folders_own { steps } else { steps - 1 }) {
                folder.pop();
            }
            let plain: String =
                rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_' || *c == ':').collect();
            let ends = match rest[plain.len()..].strip_prefix('{') {
                Some(group) => items(group).iter().map(|item| format!("{plain}{item}")).collect(),
                None => vec![plain],
            };
            for end in ends {
                let mut path = folder.clone();
                path.extend(end.split("::").filter(|part| !part.is_empty()).map(str::to_owned));
                found.push(path);
            }
        }
        found.retain(|path| !path.is_empty());
        found
    }

    /// Names of the methods that it defines.
    fn methods(&self) -> Vec<String> {
        let mut names = Vec::new();
        for (at, _) in self.code.match_indices("fn ") {
            let rest = &self.code[at + 3..];
            let name: String = rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '_').collect();
            let after = rest[name.len()..].split(')').next().unwrap();
            if after.contains("self") && !name.is_empty() {
                names.push(name);
            }
        }
        names
    }

    fn calls_on_self(&self, method: &str) -> bool {
        let call = format!("self.{method}(");
        let code: String = self.code.split_whitespace().collect();
        code.match_indices(&call).any(|(at, _)| !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '.'))
    }
}

fn hub_files() -> Vec<HubFile> {
    let files: Vec<HubFile> = all_sources()
        .into_iter()
        .filter_map(|source| {
            let place = source.name.strip_prefix("hub/")?.trim_end_matches(".rs");
            Some(HubFile { place: place.split('/').map(str::to_owned).collect(), code: source.code })
        })
        .filter(|file| file.place != ["mod"])
        .collect();
    assert!(files.len() > 40, "only {} files of hub were read", files.len());
    files
}

#[test]
fn rooms_of_the_hub_lean_on_those_below_only() {
    let mut wrong = Vec::new();
    for file in hub_files() {
        let own = file.place[0].as_str();
        for path in file.paths() {
            let target = path[0].as_str();
            let is_word = path.len() == 1 && HUB_WORDS.contains(&target);
            if target != own && !is_word && hub_floor(target) >= hub_floor(own) {
                wrong.push(format!("hub/{} names {}", file.place.join("/"), path.join("::")));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// The longest way from a room down through those that it names, and they name.
fn longest_way(from: &str, named: &BTreeMap<String, BTreeSet<String>>) -> Vec<String> {
    let below = named.get(from).into_iter().flatten().map(|room| longest_way(room, named));
    let mut way = vec![from.to_owned()];
    way.extend(below.max_by_key(Vec::len).unwrap_or_default());
    way
}

#[test]
fn a_request_passes_few_rooms_and_none_twice() {
    let mut named: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for file in hub_files() {
        let own = &file.place[0];
        let rooms = file.paths().into_iter().map(|path| path[0].clone());
        let rooms = rooms.filter(|room| HUB_FLOORS.iter().any(|(name, _)| name == room));
        // Strictly down: whoever leaves a room does not come back to it on the same way, however the calls nest.
        let rooms: Vec<String> = rooms.filter(|room| hub_floor(room) < hub_floor(own)).collect();
        named.entry(own.clone()).or_default().extend(rooms.into_iter().filter(|room| hub_floor(room) > 0));
    }
    for room in ["serve", "models"] {
        let way = longest_way(room, &named);
        assert!(way.len() > 3, "the rooms below {room} were not found: {way:?}");
        // With the edge before them and an adapter behind.
        assert!(way.len() + 2 <= 9, "{way:?}");
    }
}

#[test]
fn no_files_of_a_room_lean_on_each_other_in_a_circle() {
    let files = hub_files();
    // By folder: from each file to those that it names, or whose methods it calls on itself. A folder's own file only
    // holds the room together: all may name it, and it names all.
    let mut arrows: Vec<(String, String)> = Vec::new();
    for from in &files {
        let (folder, name) = from.place.split_at(from.place.len() - 1);
        if name[0] == "mod" {
            continue;
        }
        for to in &files {
            let (other_folder, other_name) = to.place.split_at(to.place.len() - 1);
            if other_folder != folder || other_name == name || other_name[0] == "mod" {
                continue;
            }
            let is_named = from.paths().iter().any(|path| path.starts_with(&to.place));
            let own = from.methods();
            let calls = to.methods().iter().any(|method| !own.contains(method) && from.calls_on_self(method));
            if is_named || calls {
                arrows.push((from.place.join("/"), to.place.join("/")));
            }
        }
    }
    assert!(arrows.len() > 20, "only {} arrows were found", arrows.len());
    // Whoever points nowhere cannot be part of a circle.
    loop {
        let before = arrows.len();
        let starts: Vec<String> = arrows.iter().map(|(from, _)| from.clone()).collect();
        arrows.retain(|(_, to)| starts.contains(to));
        if arrows.len() == before {
            break;
        }
    }
    assert!(arrows.is_empty(), "{arrows:#?}");
}

#[test]
fn the_reader_of_paths_sees_what_it_should() {
    let code = "use crate::hub::{self, Hub};\nuse crate::{blob, db::{Db, Row}, api};\nlet x = crate::metrics::f();\n$crate::db::x";
    assert_eq!(crate_paths(code), ["hub::self", "hub::Hub", "blob", "db::", "api", "metrics::f"]);
}
