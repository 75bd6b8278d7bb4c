//! `trail-sim --again FOLDER`: a case that was kept is judged again, by the program itself, and says what a person needs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use trail_sim::disk::{Fill, Image, Medium, cut};
use trail_sim::kept::Kept;
use trail_sim::workload::record;

/// A small case, as class 1 keeps one: what a power cut in the middle of a life leaves, in a folder of its own.
fn recorded(seed: u64, point: u64) -> (Kept, PathBuf) {
    let (life, mut medium) = (record(seed, 20), Medium::of(Image::default(), Fill::Zeros));
    let mut walk = life.walk();
    let at = life.operations.len() / 2;
    life.operations[..at].iter().for_each(|operation| medium.note(operation));
    walk.to(at);
    assert!(walk.ledger.acknowledged_events() > 0, "the power goes before anything was acknowledged");
    let image = cut::crash(&medium, &mut |_| false, 0, Fill::Zeros).without_nameless();
    let kept = Kept { image, ledger: walk.ledger.clone(), now: walk.now, seed, point };
    let said = kept.keep();
    let folder = said.split_once("--again ").expect("the command that repeats it").1;
    (kept, PathBuf::from(folder))
}

/// The exit status and what was printed.
fn again(folder: &Path) -> (Option<i32>, String) {
    let ended = Command::new(env!("CARGO_BIN_EXE_trail-sim")).arg("--again").arg(folder).output().unwrap();
    (ended.status.code(), String::from_utf8([ended.stdout, ended.stderr].concat()).unwrap())
}

#[test]
fn a_case_that_was_kept_is_judged_again() {
    // Numbers of this process, so that no two runs share a folder.
    let point = u64::from(std::process::id()) << 8;
    // With points of all kinds: the log is only opened, its recovery is cut off too, it goes on being used.
    for point in [point + 1, point + 4, point + 8] {
        let (_, folder) = recorded(4, point);
        assert_eq!(again(&folder), (Some(0), "all is right\n".to_owned()));
        fs::remove_dir_all(&folder).unwrap();
    }
}

#[test]
fn what_is_wrong_with_it_is_said_again() {
    let (mut kept, folder) = recorded(4, (u64::from(std::process::id()) << 8) + 2);
    let id = kept.ledger.sent(vec![br#"{"id":"never stored"}"#.to_vec()], kept.now);
    let receipt = trail_engine::Receipt { accepted: 1, first_sequence: Some(trail_engine::id::Sequence(9_999)), ..Default::default() };
    kept.ledger.acknowledged(id, &receipt);
    let _said = kept.keep();
    let (code, said) = again(&folder);
    assert!(code == Some(1) && said.contains("is gone") && said.contains("never stored"), "{code:?}: {said}");
    // A file that is not as it was left: the case is another one, and its damage is named.
    fs::write(folder.join("catalog"), b"no catalog").unwrap();
    let (code, said) = again(&folder);
    assert!(code == Some(1) && said.contains("does not open"), "{code:?}: {said}");
    fs::remove_file(folder.join("ledger")).unwrap();
    let (code, said) = again(&folder);
    assert!(code == Some(2) && said.contains(&folder.display().to_string()), "{code:?}: {said}");
    fs::remove_dir_all(&folder).unwrap();
    assert_eq!(again(&folder).0, Some(2), "there is no such folder");
}
