//! The house is built as its plan says: imports run down the floors and never in circles, and what is dangerous has one place.

use std::collections::BTreeSet;

use trail_tests::binary::root;
use trail_tests::house::{Arrow, Floors, Source, against_floors, arrows, circles, outside, product, sources};

const LINES_MAX: usize = 500;

const ENGINE: Floors = Floors {
    rooms: &[
        ("id", 1),
        ("limits", 1),
        ("error", 1),
        ("mutants", 1),
        ("sync", 1),
        ("event", 2),
        ("storage", 2),
        ("codec", 2),
        ("clock", 2),
        ("threads", 2),
        ("journal", 3),
        ("index", 3),
        ("options", 3),
        ("matcher", 3),
        ("budget", 3),
        ("shred", 3),
        ("status", 3),
        ("integrity", 3),
        ("segment", 4),
        ("head", 4),
        ("query", 4),
        ("lifecycle", 5),
        ("audit_log", 6),
        ("fuzzing", 6),
        ("lib", 7),
    ],
    strangers: &["segment", "head", "query"],
};

const DAEMON: Floors = Floors {
    rooms: &[
        ("dialect", 1),
        ("config", 1),
        ("keys", 1),
        ("metrics", 1),
        ("mutants", 1),
        ("nearest", 1),
        ("backend", 2),
        ("trails", 3),
        ("api", 4),
        ("server", 5),
        ("cli", 6),
        ("lib", 7),
        ("main", 7),
    ],
    strangers: &[],
};

/// The rooms of the trails: their paths begin behind `trails/`.
const TRAILS: Floors = Floors {
    rooms: &[("setting", 1), ("keeping", 2), ("sink", 3), ("definition", 4), ("archive", 4), ("reading", 4), ("work", 5), ("roster", 6)],
    strangers: &["definition", "archive", "reading"],
};

fn crate_of(name: &str) -> Vec<Source> {
    let found = product(&sources(&root().join(name).join("src")));
    assert!(found.len() > 20, "{name}: only {} files were read", found.len());
    found
}

fn source(path: &str, text: &str) -> Source {
    Source { path: path.into(), text: text.into() }
}

#[test]
fn imports_run_down_the_floors() {
    for (name, floors) in [("engine", ENGINE), ("daemon", DAEMON)] {
        let arrows = arrows(&crate_of(name));
        assert!(arrows.len() > 50, "{name}: only {} imports were read", arrows.len());
        let problems = against_floors(&arrows, &floors);
        assert!(problems.is_empty(), "{name}:\n{}", problems.join("\n"));
    }
}

#[test]
fn imports_run_down_the_floors_of_the_trails() {
    let within = |arrow: &Arrow| {
        let path = |path: &str| path.strip_prefix("trails/").map(str::to_owned);
        Some(Arrow { from: path(&arrow.from)?, to: path(&arrow.to)? })
    };
    let inner: BTreeSet<Arrow> = arrows(&crate_of("daemon")).iter().filter_map(within).collect();
    assert!(inner.len() > 50, "only {} imports were read", inner.len());
    let problems = against_floors(&inner, &TRAILS);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn no_files_import_each_other_in_circles() {
    for name in ["engine", "daemon"] {
        let circles = circles(&arrows(&crate_of(name)));
        let shown: Vec<String> = circles.iter().map(|a| format!("{} -> {}", a.from, a.to)).collect();
        assert!(circles.is_empty(), "{name}:\n{}", shown.join("\n"));
    }
}

#[test]
fn what_is_dangerous_has_one_place() {
    let engine = crate_of("engine");
    let daemon = crate_of("daemon");
    let clock = ["clock.rs"];
    let file = ["storage/file.rs", "storage/mapped.rs"];
    let found = [
        outside(&engine, "unsafe", &["storage/mapped.rs"]),
        outside(&daemon, "unsafe", &[]),
        outside(&engine, "std::fs", &file),
        outside(&engine, "rustix::fs", &file),
        outside(&engine, "SystemTime", &clock),
        outside(&engine, "Instant", &clock),
        outside(&engine, "thread::spawn", &["threads.rs"]),
        outside(&daemon, "SystemTime", &[]),
    ];
    let found: Vec<String> = found.into_iter().flatten().collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn files_are_short_and_named_by_what_they_mean() {
    const BANNED: [&str; 11] =
        ["util", "utils", "common", "helper", "helpers", "manager", "misc", "types", "stuff", "shared_types", "base"];
    let mut problems = Vec::new();
    let mut seen = 0;
    for folder in ["engine", "daemon", "benches", "sim", "tests"] {
        for file in sources(&root().join(folder)) {
            seen += 1;
            let count = file.text.lines().count();
            if count > LINES_MAX {
                problems.push(format!("{folder}/{}: {count} lines", file.path));
            }
            let named = |step: &str| BANNED.contains(&step) || step.ends_with("_v2") || step.ends_with("_new") || step.ends_with("_old");
            if file.path.trim_end_matches(".rs").split('/').any(named) {
                problems.push(format!("{folder}/{}: a name that says nothing", file.path));
            }
        }
    }
    assert!(seen > 150, "only {seen} files were read");
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn a_planted_arrow_up_is_found() {
    let planted = [
        source("lib.rs", "pub mod query;\npub use query::Page;\n"),
        source("error.rs", "//! use crate::query::page::Page;\nuse std::fmt;\npub(in crate::head) fn f() { crate::query::page::g() }\n"),
        source("query/mod.rs", "mod page;\npub use page::{Page, g};\n"),
        source("query/page.rs", "use std::fmt;\nuse crate::{error::{Error, self}, head::{self, X as Y}};\n"),
        source("head/mod.rs", "pub use super::error::Error;\n#[cfg(test)]\nmod tests {\n    use crate::lib::X;\n}\n"),
    ];
    let found = against_floors(&arrows(&product(&planted)), &ENGINE);
    assert_eq!(
        found,
        ["error.rs (floor 1) uses query/page.rs (floor 4)", "query/page.rs uses head/mod.rs: `query` and `head` must not know each other",]
    );
}

#[test]
fn a_planted_circle_is_found_and_test_modules_may_do_as_they_like() {
    let planted = [
        source("event/mod.rs", "mod a;\nmod b;\n#[cfg(test)]\nmod checks;\n#[cfg(test)]\n#[path = \"more_tests.rs\"]\nmod tests;\n"),
        source("event/a.rs", "use super::b::B;\nuse std::{fmt, io::{self, Read}};\n"),
        source("event/b.rs", "use crate::event::a::{self, A};\nuse super::c;\n"),
        source("event/c.rs", "use crate::limits::X;\n"),
        source("event/checks.rs", "use crate::query::Page;\n"),
        source("event/more_tests.rs", "use crate::query::Page;\n"),
        source("limits.rs", ""),
        source("query.rs", "use crate::event::a::A;\n"),
    ];
    let arrows = arrows(&product(&planted));
    assert_eq!(against_floors(&arrows, &ENGINE), Vec::<String>::new());
    let arrow = |from: &str, to: &str| Arrow { from: from.into(), to: to.into() };
    let expected = BTreeSet::from([arrow("event/a.rs", "event/b.rs"), arrow("event/b.rs", "event/a.rs")]);
    assert_eq!(circles(&arrows), expected);
}

#[test]
fn a_dangerous_word_is_found_in_code_only() {
    let files = product(&[
        source("clock.rs", "use std::time::Instant;\n"),
        source(
            "a.rs",
            "//! Instant\n// Instant\nlet x = 1; // Instant\nlet y = InstantCoffee;\n#[cfg(test)]\nmod tests {\n    Instant\n}\n",
        ),
        source("b.rs", "let t = Instant::now();\n"),
    ]);
    assert_eq!(outside(&files, "Instant", &["clock.rs"]), ["b.rs: let t = Instant::now();"]);
}
