//! Damage from end to end: `verify` names it, the server writes it to its log when it starts and when it is found, and commands that
//! ask say on standard error that their answer is not all.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use tempfile::tempdir;
use trail_tests::binary::{binary, clean, run, traild};
use trail_tests::fixtures::{lines, path};
use trail_tests::load::Source;
use trail_tests::old_day::OldDay;
use trail_tests::seed::Random;
use trail_tests::server::Server;
use trail_tests::strace::obstacle;
use trail_tests::table::{Row, skip, wait_for};

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
}

/// A damaged catalog is said, and hides nothing of what else is wrong.
#[test]
fn verify_reads_on_behind_a_damaged_catalog() {
    let folder = tempdir().unwrap();
    let (data, segment) = imported(folder.path());
    fs::write(data.join("catalog"), b"no catalog").unwrap();
    let (code, out, errors) = verify(&data);
    assert!(code == 1 && out.lines().count() == 1 && out.starts_with("catalog: "), "{code} {out}");
    let events = lines("actiontrail").len();
    assert!(errors.contains(&format!("1 segments read, {events} events; 1 problems")), "{errors}");
    let mut bytes = fs::read(&segment).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 2;
    fs::write(&segment, bytes).unwrap();
    let name = segment.file_name().unwrap().to_str().unwrap();
    let (code, out, _) = verify(&data);
    assert!(code == 1 && out.lines().any(|line| line.starts_with("catalog: ")), "{code} {out}");
    assert!(out.lines().any(|line| line.starts_with(name) && line.contains(" can still be read")), "{out}");
}

/// Every read of a segment fails from the second on, as on a disk that dies: the file and its places are named, the rest is read, nothing is
/// mapped (a map would end the process with SIGBUS), and a repair changes nothing.
#[test]
fn what_the_disk_does_not_give_is_said_and_not_taken_for_damage() {
    if let Some(why) = obstacle() {
        return skip(7, "EIO under verify and repair", &why);
    }
    let row = Row::begin(7, "EIO under verify and repair", 4);
    let folder = tempdir().unwrap();
    let (data, segment) = imported(folder.path());
    let name = segment.file_name().unwrap().to_str().unwrap();
    let right = fs::read(&segment).unwrap();
    fs::write(data.join("catalog"), b"no catalog").unwrap();
    for (command, code, prefix, when) in
        [("verify", 1, "", "1+"), ("verify", 1, "", "2+"), ("repair", 1, "unread: ", "1+"), ("repair --apply", 4, "unread: ", "2+")]
    {
        let calls = folder.path().join("calls");
        let mut words = command.split(' ');
        let mut strace = clean(Command::new("strace"));
        strace.args(["-f", "-qq", "-P"]).arg(&segment).arg("-o").arg(&calls).args(["-e", "trace=pread64,mmap"]);
        strace.args(["-e", &format!("inject=pread64:error=EIO:when={when}")]).arg(binary()).args(words.next());
        let (ended, out, errors) = run(strace.arg("--data-dir").arg(&data).args(words));
        assert_eq!(ended, code, "{command}: {out}{errors}");
        let told = |what: &str| out.lines().any(|line| line.contains(name) && line.starts_with(prefix) && line.contains(what));
        assert!(told("Input/output error") && (when != "1+" || told(" bytes at byte 0 cannot be read: ")), "{command}: {out}{errors}");
        assert!(out.lines().any(|line| line.contains("catalog: ")), "{command}: {out}");
        let calls = fs::read_to_string(&calls).unwrap();
        assert!(calls.contains("(INJECTED)") && !calls.contains("mmap("), "{command}: {calls}");
        assert_eq!(fs::read(&segment).unwrap(), right, "{command}");
        assert_eq!(fs::read(data.join("catalog")).unwrap(), b"no catalog", "{command}");
        row.hit();
    }
    row.end();
}

/// A crash between the catalog that drops a day and the removal of its files leaves files that the next start removes. Only who knows
/// the server's retention can know that.
#[test]
fn verify_knows_the_retention_of_the_server() {
    let folder = tempdir().unwrap();
    let (data, aside) = (folder.path().join("data"), folder.path().join("aside"));
    let mut source = Source::new("old", Random::of_test("damage", "verify_knows_the_retention"));
    let mut old = OldDay::make(&data, vec![source.batch()], &source.batch());
    let file = data.join(&old.files()[0]);
    fs::copy(&file, &aside).unwrap();
    old.all_in(&data).unwrap();
    let retention = old.ends_after(Duration::from_secs(1));
    let server = Server::start(&data, &[("TRAILD_RETENTION", &retention)]);
    wait_for("an expiry", || old.is_gone_from(&data));
    server.stop();
    fs::copy(&aside, &file).unwrap();
    let (code, out, errors) = verify(&data);
    assert!(code == 1 && out.contains("has let go of it before its day was over"), "{code}: {out}{errors}");
    let config = folder.path().join("traild.toml");
    fs::write(&config, format!("retention = \"{retention}\"\n")).unwrap();
    let verify = || {
        let mut command = traild();
        command.arg("verify").arg("--data-dir").arg(&data);
        command
    };
    for (source, command) in [
        ("flag", verify().args(["--retention", &retention])),
        ("environment", verify().env("TRAILD_RETENTION", &retention)),
        ("file", verify().arg("--config").arg(&config)),
    ] {
        assert_eq!(run(command).0, 0, "{source}");
    }
    assert!(file.exists(), "a look at the log changed it");
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
