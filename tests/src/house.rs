//! Reads the `use` lines of a crate, and says which arrows run up the floors or in a circle.
//!
//! Mechanism: every file is a module path; comments and test modules are taken out; every path that begins with `crate`, `super`,
//! `self` or the name of a child module is resolved to the file of the deepest module in it. Limits: paths made by macros, and
//! methods called without a path, are not seen.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

/// One file of a crate, its path relative to the crate's `src`.
#[derive(Debug, Clone)]
pub struct Source {
    /// Such as `query/page.rs`.
    pub path: String,
    /// All of its text.
    pub text: String,
}

/// An import of one file by another.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    /// The file with the `use` line.
    pub from: String,
    /// The file that is used.
    pub to: String,
}

/// Which rooms may use which: every room with its floor, and rooms of one floor that must not know each other.
#[derive(Debug, Clone, Copy)]
pub struct Floors {
    /// Room (the first step of the module path) and floor.
    pub rooms: &'static [(&'static str, u32)],
    /// Rooms that never use each other.
    pub strangers: &'static [&'static str],
}

/// The Rust files below a folder.
///
/// # Panics
/// When the folder cannot be read.
#[must_use]
pub fn sources(folder: &Path) -> Vec<Source> {
    let mut found = Vec::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(next) = folders.pop() {
        for entry in std::fs::read_dir(&next).unwrap_or_else(|e| panic!("{}: {e}", next.display())) {
            let path = entry.unwrap().path();
            if path.is_dir() {
                // What was built there is nobody's source.
                if path.file_name().is_some_and(|name| name != "target") {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") {
                let name = path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned();
                found.push(Source { path: name, text: std::fs::read_to_string(&path).unwrap() });
            }
        }
    }
    found.sort_by(|a, b| a.path.cmp(&b.path));
    found
}

/// The files that are part of the product, without their test modules and comments.
#[must_use]
pub fn product(sources: &[Source]) -> Vec<Source> {
    let tests: BTreeSet<String> = sources.iter().flat_map(test_modules).collect();
    let of_tests = |path: &str| tests.iter().any(|t| path == format!("{t}.rs") || path.starts_with(&format!("{t}/")));
    let kept = sources.iter().filter(|s| !of_tests(&s.path));
    kept.map(|s| Source { path: s.path.clone(), text: code(&s.text) }).collect()
}

/// The modules, as paths without `.rs`, that a file declares behind `#[cfg(test)]`.
fn test_modules(source: &Source) -> Vec<String> {
    let folder = |module: &[String]| module.iter().map(|step| format!("{step}/")).collect::<String>();
    let children = folder(&module_of(&source.path));
    let beside = source.path.rsplit_once('/').map_or(String::new(), |(folder, _)| format!("{folder}/"));
    let mut found = Vec::new();
    for (_, after) in source.text.match_indices("#[cfg(test)]").map(|(at, mark)| (at, &source.text[at + mark.len()..])) {
        let mut path = None;
        for line in after.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some(named) = line.strip_prefix("#[path = \"") {
                path = named.split(".rs").next();
            } else if let Some(name) = line.split("mod ").nth(1).filter(|_| line.ends_with(';') && !line.starts_with("use")) {
                found.push(path.map_or(format!("{children}{}", name.trim_end_matches(';')), |path| format!("{beside}{path}")));
            }
            if !line.starts_with('#') {
                break;
            }
        }
    }
    found
}

/// Text without comments and without the test module at its end.
fn code(text: &str) -> String {
    let mut out = String::new();
    let lines: Vec<&str> = text.lines().collect();
    for (i, line) in lines.iter().enumerate() {
        let ends =
            line.starts_with("#[cfg(test)]") && lines[i + 1..].iter().find(|l| !l.starts_with('#')).is_some_and(|l| l.ends_with("tests {"));
        if ends {
            break;
        }
        let line = if line.trim_start().starts_with("//") { "" } else { line.split(" // ").next().unwrap_or("") };
        out.push_str(line);
        out.push('\n');
    }
    out
}

/// `query/filter/mod.rs` is `[query, filter]`, `lib.rs` is `[]`.
fn module_of(path: &str) -> Vec<String> {
    let steps: Vec<&str> = path.trim_end_matches(".rs").split('/').collect();
    let steps = steps.strip_suffix(&["mod"]).unwrap_or(&steps);
    if matches!(steps, ["lib" | "main"]) { Vec::new() } else { steps.iter().map(|s| (*s).to_owned()).collect() }
}

/// Every import between the files of [`product`].
#[must_use]
pub fn arrows(product: &[Source]) -> BTreeSet<Arrow> {
    let files: BTreeMap<Vec<String>, &str> =
        product.iter().filter(|s| s.path != "main.rs").map(|s| (module_of(&s.path), s.path.as_str())).collect();
    let mut arrows = BTreeSet::new();
    for source in product {
        let module = module_of(&source.path);
        for path in paths(&source.text) {
            let Some(target) = absolute(&module, &path, &files) else { continue };
            let deepest = (0..=target.len()).rev().find_map(|n| files.get(&target[..n]));
            if let Some(to) = deepest.filter(|to| **to != source.path) {
                arrows.insert(Arrow { from: source.path.clone(), to: (*to).to_owned() });
            }
        }
    }
    arrows
}

fn absolute(module: &[String], path: &[String], files: &BTreeMap<Vec<String>, &str>) -> Option<Vec<String>> {
    let (first, rest) = path.split_first()?;
    match first.as_str() {
        "crate" => Some(rest.to_vec()),
        "self" => Some([module, rest].concat()),
        "super" => {
            let up = path.iter().take_while(|step| *step == "super").count();
            let base = module.len().checked_sub(up)?;
            Some([&module[..base], &path[up..]].concat())
        }
        _ => {
            let child = [module, &path[..1]].concat();
            files.contains_key(&child).then(|| [module, path].concat())
        }
    }
}

/// Every path of the `use` lines, and every path in the code that begins with `crate::`.
fn paths(code: &str) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut rest = code;
    while let Some(at) = rest.find("use ") {
        let starts_line = rest[..at].rsplit('\n').next().is_some_and(|before| {
            let before = before.trim();
            before.is_empty() || before.starts_with("pub")
        });
        rest = &rest[at + 4..];
        if starts_line {
            let end = rest.find(';').unwrap_or(rest.len());
            expand(&[], &rest[..end], &mut found);
        }
    }
    // `pub(in crate::query)` says who may use it, not what is used.
    for (at, _) in code.match_indices("crate::").filter(|(at, _)| !code[..*at].ends_with("(in ")) {
        let path: String = code[at..].chars().take_while(|c| c.is_alphanumeric() || matches!(c, '_' | ':')).collect();
        let path: Vec<String> = path.split("::").filter(|step| !step.is_empty()).map(str::to_owned).collect();
        // A path that goes on with braces was read with its `use`.
        let braces = code[at..].trim_start_matches(|c: char| c.is_alphanumeric() || matches!(c, '_' | ':')).starts_with('{');
        found.extend((!braces).then_some(path));
    }
    found
}

/// `a::{b, c::{d, self}}` is `a::b`, `a::c::d`, `a::c`.
fn expand(prefix: &[String], tree: &str, found: &mut Vec<Vec<String>>) {
    let tree = tree.trim();
    let Some((head, group)) = tree.split_once('{') else {
        let name = tree.split(" as ").next().unwrap_or(tree);
        let steps = name.split("::").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty() && s != "*");
        let path: Vec<String> = prefix.iter().cloned().chain(steps).collect();
        let inner_self = path.len() > 1 && path.last().is_some_and(|s| s == "self");
        found.push(if inner_self { path[..path.len() - 1].to_vec() } else { path });
        return;
    };
    let steps = head.split("::").map(|s| s.trim().to_owned()).filter(|s| !s.is_empty());
    let prefix: Vec<String> = prefix.iter().cloned().chain(steps).collect();
    let mut depth = 0;
    let mut start = 0;
    let group = group.trim_end().strip_suffix('}').unwrap_or(group);
    for (i, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => {
                expand(&prefix, &group[start..i], found);
                start = i + 1;
            }
            _ => {}
        }
    }
    if !group[start..].trim().is_empty() {
        expand(&prefix, &group[start..], found);
    }
}

/// Every arrow that runs up, or between strangers, or from or to a room without a floor.
#[must_use]
pub fn against_floors(arrows: &BTreeSet<Arrow>, floors: &Floors) -> Vec<String> {
    let room = |path: &str| module_of(path).first().cloned().unwrap_or_else(|| path.trim_end_matches(".rs").to_owned());
    let floor = |room: &str| floors.rooms.iter().find(|(name, _)| *name == room).map(|(_, floor)| *floor);
    let mut problems = Vec::new();
    for Arrow { from, to } in arrows {
        let (a, b) = (room(from), room(to));
        match (floor(&a), floor(&b)) {
            (None, _) => problems.push(format!("{from}: the room `{a}` has no floor")),
            (_, None) => problems.push(format!("{to}: the room `{b}` has no floor")),
            (Some(low), Some(high)) if high > low => problems.push(format!("{from} (floor {low}) uses {to} (floor {high})")),
            _ if a != b && floors.strangers.contains(&a.as_str()) && floors.strangers.contains(&b.as_str()) => {
                problems.push(format!("{from} uses {to}: `{a}` and `{b}` must not know each other"));
            }
            _ => {}
        }
    }
    problems.dedup();
    problems
}

/// The arrows between files that import each other in circles: those whose end leads back to their start.
#[must_use]
pub fn circles(arrows: &BTreeSet<Arrow>) -> BTreeSet<Arrow> {
    let leads = |from: &str, to: &str| {
        let mut seen = BTreeSet::from([from]);
        let mut open = vec![from];
        while let Some(file) = open.pop() {
            open.extend(arrows.iter().filter(|a| a.from == file).map(|a| a.to.as_str()).filter(|next| seen.insert(next)));
        }
        seen.contains(to)
    };
    arrows.iter().filter(|a| leads(&a.to, &a.from)).cloned().collect()
}

/// The lines of the product that hold a word, in files other than the allowed ones.
#[must_use]
pub fn outside(product: &[Source], word: &str, allowed: &[&str]) -> Vec<String> {
    let edge = |c: Option<char>| !c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    let holds = |line: &str| {
        line.match_indices(word).any(|(at, _)| edge(line[..at].chars().next_back()) && edge(line[at + word.len()..].chars().next()))
    };
    let files = product.iter().filter(|s| !allowed.contains(&s.path.as_str()));
    files.flat_map(|s| s.text.lines().filter(|l| holds(l)).map(move |l| format!("{}: {}", s.path, l.trim()))).collect()
}
