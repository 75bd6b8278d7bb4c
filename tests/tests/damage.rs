//! Damage from end to end: `verify` names it, the server writes it to its log when it starts and when it is found, and commands that
//! ask say on standard error that their answer is not all.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::tempdir;
use trail_tests::binary::{run, traild};
use trail_tests::fixtures::{lines, path};
use trail_tests::server::Server;

const EVER: [&str; 4] = ["--from", "1700-01-01T00:00:00Z", "--to", "2200-01-01T00:00:00Z"];

fn verify(data: &Path) -> (i32, String, String) {
    run(traild().arg("verify").arg("--data-dir").arg(data))
}

/// A data directory with one segment, and the segment's file.
fn imported(folder: &Path) -> (PathBuf, PathBuf) {
    let data = folder.join("data");
    let (code, _, errors) = run(traild().arg("import").arg(path("actiontrail")).arg("--data-dir").arg(&data));
    assert_eq!(code, 0, "{errors}");
    let mut files = fs::read_dir(&data).unwrap().map(|file| file.unwrap().path());
    let segment = files.find(|file| file.file_name().unwrap().to_string_lossy().starts_with("segment-")).unwrap();
    (data, segment)
}

#[test]
fn verify_says_file_and_place_and_the_server_says_it_too() {
    let folder = tempdir().unwrap();
    let (data, segment) = imported(folder.path());
    let (code, out, errors) = verify(&data);
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");
    assert!(errors.contains(" 0 problems"), "{errors}");
    let right = fs::read(&segment).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    let found = (0..right.len()).step_by(499).find_map(|at| {
        let mut bytes = right.clone();
        bytes[at] ^= 2;
        fs::write(&segment, bytes).unwrap();
        let (code, out, _) = verify(&data);
        assert!(code == 1 && out.lines().all(|line| line.starts_with(name)), "byte {at}: {code} {out}");
        out.contains("block 0").then_some(out)
    });
    let found = found.expect("no byte of the block was found");
    assert!(found.contains("checksum differs") && found.contains("at byte"), "{found}");
    let server = Server::start(&data, &[]);
    let (code, out, errors) = run(traild().args(["count", "\"no such text\"", "--url", &server.url()]).args(EVER));
    let events = lines("actiontrail").len();
    assert_eq!((code, out.as_str()), (1, "0\n"), "{errors}");
    assert!(errors.contains(&format!("incomplete: {events} events")) && errors.contains(name), "{errors}");
    let said = server.said();
    assert!(said.lines().any(|line| line.contains("ERROR") && line.contains(name) && line.contains("block 0")), "{said}");
    server.stop();
}

#[test]
fn what_is_gone_at_the_start_is_said_at_the_start() {
    let folder = tempdir().unwrap();
    let (data, segment) = imported(folder.path());
    let aside = folder.path().join("elsewhere");
    fs::rename(&segment, &aside).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    let server = Server::start(&data, &[]);
    assert!(server.said().lines().any(|line| line.contains("ERROR") && line.contains(name)), "{}", server.said());
    server.stop();
    let (code, out, _) = verify(&data);
    assert!(code == 1 && out.lines().count() == 1 && out.starts_with(name), "{code} {out}");
    fs::rename(&aside, &segment).unwrap();
    assert_eq!(verify(&data).0, 0);
    let (code, _, errors) = verify(&folder.path().join("nowhere"));
    assert_eq!(code, 2, "{errors}");
    fs::write(data.join("catalog"), b"no catalog").unwrap();
    let (code, out, _) = verify(&data);
    assert!(code == 1 && out.starts_with("catalog"), "{code} {out}");
}

#[test]
fn repair_says_first_and_does_when_told() {
    let folder = tempdir().unwrap();
    let (data, segment) = imported(folder.path());
    let repair = |more: &[&str]| run(traild().arg("repair").arg("--data-dir").arg(&data).args(more));
    assert_eq!(repair(&["--apply"]).0, 0);
    let right = fs::read(&segment).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    let mut bytes = right.clone();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 2;
    fs::write(&segment, &bytes).unwrap();
    fs::write(data.join("catalog"), b"no catalog").unwrap();
    let (code, out, errors) = repair(&[]);
    assert!(code == 1 && out.lines().all(|line| line.starts_with("wrong: ")), "{code} {out} {errors}");
    assert!(out.contains("wrong: catalog") && out.contains(name) && errors.contains("nothing was changed"), "{out} {errors}");
    assert_eq!(fs::read(&segment).unwrap(), bytes);
    let (code, out, errors) = repair(&["--apply"]);
    assert!(code == 0 && errors.contains("repaired"), "{code} {out} {errors}");
    assert_eq!(fs::read(data.join(format!("{name}.aside"))).unwrap(), bytes, "{out}");
    assert_eq!(fs::read(data.join("catalog.aside")).unwrap(), b"no catalog");
    let (code, out, errors) = verify(&data);
    assert_eq!((code, out.as_str()), (0, ""), "{errors}");
    let (code, out, errors) = repair(&["--apply"]);
    assert!(code == 0 && out.is_empty() && errors.contains("nothing is wrong"), "{code} {out} {errors}");
    // What is acknowledged from now on follows what was there.
    let server = Server::start(&data, &[]);
    let (code, _, errors) = run(traild().args(["import", "--url", &server.url()]).arg(path("actiontrail")));
    assert_eq!(code, 0, "{errors}");
    let (code, out, errors) = run(traild().args(["count", "*", "--url", &server.url()]).args(EVER));
    assert_eq!((code, out.trim()), (0, lines("actiontrail").len().to_string().as_str()), "{errors}");
    server.stop();
    let nowhere = folder.path().join("nowhere");
    assert_eq!(run(traild().args(["repair", "--apply", "--data-dir"]).arg(&nowhere)).0, 2);
    assert!(!nowhere.exists());
}
