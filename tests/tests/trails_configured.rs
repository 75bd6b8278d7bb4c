//! Trails of the configuration file, on the real binary: made and started at the first start, left alone at the next, changed where the file is, and refused with
//! the line where they are wrong.
//!
//! The oracle is the list of events that were sent.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use tempfile::{TempDir, tempdir};
use trail_tests::binary::traild;
use trail_tests::client::{Client, NDJSON};
use trail_tests::delivery::{in_folder, send, status, wait_until_done};
use trail_tests::receiver::{Receiver, SECRET, Speech};
use trail_tests::server::Server;
use trail_tests::table::wait_for;

/// A data directory, a folder to deliver to, and a configuration file.
struct Place {
    directory: TempDir,
}

impl Place {
    fn new() -> Place {
        Place { directory: tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn configure(&self, text: &str) {
        fs::write(self.path("traild.toml"), text).unwrap();
    }

    fn start(&self, settings: &[(&str, &str)]) -> (Server, Client) {
        let server = self.try_start(settings).unwrap_or_else(|problem| panic!("{problem}"));
        let client = server.client();
        (server, client)
    }

    fn try_start(&self, settings: &[(&str, &str)]) -> Result<Server, String> {
        let file = self.path("traild.toml");
        Server::try_start(traild(), &self.path("data"), &["--config", file.to_str().unwrap()], settings)
    }

    /// A table of a trail to a folder.
    fn table(&self, name: &str, filter: &str) -> String {
        let path = self.path("out");
        let path = path.display();
        format!(
            "[[trails]]\nname = \"{name}\"\nfilter = \"{filter}\"\nstart = \"oldest\"\n\n[[trails.sinks]]\ntype = \"file\"\npath = \"{path}\"\n\
             batch = {{ events = 100, seconds = 0.05 }}\n"
        )
    }

    fn delivered(&self, name: &str) -> Vec<Vec<u8>> {
        in_folder(&self.path("out").join(name))
    }
}

/// Events of two kinds in turn.
fn events(numbers: std::ops::Range<u64>) -> Vec<Vec<u8>> {
    let event = |n: u64| json!({"eventID": format!("e-{n}"), "eventName": format!("Put{}", n % 2), "eventTime": "2026-11-20T10:00:00Z"});
    numbers.map(|n| event(n).to_string().into_bytes()).collect()
}

fn post(client: &mut Client, events: &[Vec<u8>]) {
    assert_eq!(client.post(NDJSON, &events.join(&b'\n')).status, 200);
}

/// Those of one kind.
fn of_kind(kind: &str, events: &[Vec<u8>]) -> Vec<Vec<u8>> {
    events.iter().filter(|event| String::from_utf8_lossy(event).contains(kind)).cloned().collect()
}

fn state(client: &mut Client, name: &str) -> Value {
    client.json(&format!("/v1/trails/{name}"))["state"].clone()
}

#[test]
fn a_trail_of_the_file_is_made_once_goes_on_and_follows_the_file() {
    let place = Place::new();
    place.configure(&place.table("all", ""));
    let (first, second, third) = (events(0..300), events(300..400), events(400..500));
    let (server, mut client) = place.start(&[]);
    assert_eq!(state(&mut client, "all"), "enabled");
    post(&mut client, &first);
    wait_until_done(&mut client, "all");
    assert_eq!(place.delivered("all"), first);
    let made = client.json("/v1/trails/all/status")["created_at"].clone();
    server.stop();

    // The same file: the same trail, which delivers what comes and nothing twice.
    let (server, mut client) = place.start(&[]);
    post(&mut client, &second);
    wait_until_done(&mut client, "all");
    assert_eq!(place.delivered("all"), [&first[..], &second].concat());
    assert_eq!(client.json("/v1/trails/all/status")["created_at"], made);
    // Whoever stopped it wants it stopped, also when it is changed meanwhile.
    send(&mut client, "POST", "/v1/trails/all/stop", &Value::Null);
    server.stop();
    place.configure(&place.table("all", "event_name:Put1"));
    let (server, mut client) = place.start(&[]);
    let shown = client.json("/v1/trails/all");
    assert!(shown["state"] == "disabled" && shown["filter"] == "event_name:Put1", "{shown}");
    post(&mut client, &third);
    send(&mut client, "POST", "/v1/trails/all/start", &Value::Null);
    wait_until_done(&mut client, "all");
    // From where it was, and not from the oldest again.
    assert_eq!(place.delivered("all"), [&first[..], &second, &of_kind("Put1", &third)].concat());

    // What was changed over HTTP is as the file has it after the next start.
    let sink = json!({"type": "file", "path": place.path("elsewhere"), "batch": {"seconds": 0.05}});
    send(&mut client, "PUT", "/v1/trails/all", &json!({"start": "oldest", "sinks": [sink]}));
    server.stop();
    let (server, mut client) = place.start(&[]);
    let shown = client.json("/v1/trails/all");
    assert!(shown["filter"] == "event_name:Put1" && shown["sinks"][0]["path"] == place.path("out").to_str().unwrap(), "{shown}");
    server.stop();
}

#[test]
fn a_table_that_comes_makes_a_trail_and_one_that_goes_leaves_it() {
    let place = Place::new();
    place.configure(&place.table("one", "event_name:Put0"));
    let (server, mut client) = place.start(&[]);
    let (first, second) = (events(0..100), events(100..200));
    post(&mut client, &first);
    server.stop();
    place.configure(&place.table("two", "event_name:Put1"));
    let (server, mut client) = place.start(&[]);
    post(&mut client, &second);
    let all = [first, second].concat();
    for (name, kind) in [("one", "Put0"), ("two", "Put1")] {
        assert_eq!(state(&mut client, name), "enabled");
        wait_until_done(&mut client, name);
        assert_eq!(place.delivered(name), of_kind(kind, &all), "{name}");
    }
    // Removed while it is not in the file, it does not come back.
    send(&mut client, "DELETE", "/v1/trails/one", &Value::Null);
    server.stop();
    let (server, mut client) = place.start(&[]);
    assert_eq!(client.json("/v1/trails")["trails"].as_array().unwrap().len(), 1);
    server.stop();
}

/// All that is wrong, each with its line, before anything is opened.
#[test]
fn what_is_wrong_is_said_with_its_line_before_anything_is_opened() {
    let place = Place::new();
    let good = place.table("good", "");
    let lines = good.lines().count();
    let wrong = [
        good.replace("filter", "filtr"),
        good.replace("seconds", "second"),
        good.replace("filter = \"\"", "filter = \"usr:alice\""),
        good.replace("\"file\"", "\"fil\""),
        good.replace("\"oldest\"", "\"now-1d\""),
        good.clone(),
        good.replace("\"good\"", "\"Bad\""),
    ];
    place.configure(&(good.clone() + &wrong.concat()));
    let said = place.try_start(&[]).unwrap_err();
    assert!(said.starts_with("exit status: 2"), "{said}");
    let words = [
        "unknown member `filtr`; did you mean `filter`?",
        "sink 0: unknown member `batch.second`; did you mean `seconds`?",
        "did you mean `user`?",
        "did you mean `file`?",
        "`start` must be \"now\", \"oldest\", a time",
        "trail `good` is there twice",
        "`name` must be 1 to 64 of a-z, 0-9, - and _",
    ];
    assert!(said.contains(&format!("the configuration has {} problems", words.len())), "{said}");
    for (i, words) in (1..).zip(words) {
        let start = format!("{}:{}: ", place.path("traild.toml").display(), 1 + i * lines);
        assert!(said.lines().any(|line| line.trim_start().starts_with(&start) && line.contains(words)), "{start}{words}: {said}");
    }
    assert!(!place.path("data").exists());
    place.configure("[trails]\nname = \"x\"\n");
    let said = place.try_start(&[]).unwrap_err();
    assert!(said.contains("toml:1: `trails` is a list of tables: write [[trails]]"), "{said}");
}

fn hook(name: &str, receiver: &Receiver, secret: &str) -> String {
    let url = format!("http://{}/in?x=1", receiver.address);
    format!(
        "[[trails]]\nname = \"{name}\"\nstart = \"oldest\"\n\n[[trails.sinks]]\ntype = \"webhook\"\nurl = \"{url}\"\nsecret = {secret}\n\
         batch = {{ seconds = 0.05 }}\n"
    )
}

fn took(receiver: &Receiver, path: &Path, wanted: &[Vec<u8>]) {
    receiver.look(|taken| {
        assert_eq!(taken.problems, Vec::<String>::new(), "{}", path.display());
        assert_eq!(taken.events, wanted);
    });
}

/// A secret that is not there yet keeps neither the server nor another trail from its work.
#[test]
fn secrets_come_from_the_environment_and_from_files_as_soon_as_they_are_there() {
    let place = Place::new();
    let key = place.path("hook.key");
    let receivers = [(); 2].map(|()| Receiver::start(Speech::Webhook, &[]));
    let by_file = format!("{{ file = \"{}\" }}", key.display());
    place.configure(&(hook("by-env", &receivers[0], "{ env = \"HOOK_SECRET\" }") + &hook("by-file", &receivers[1], &by_file)));
    let (server, mut client) = place.start(&[]);
    let sent = events(0..50);
    post(&mut client, &sent);
    for (name, words) in [("by-env", "the environment variable HOOK_SECRET is not set"), ("by-file", "hook.key cannot be read")] {
        wait_for(name, || status(&mut client, name)[0]["last_error"].as_str().is_some_and(|error| error.contains(words)));
        assert_eq!(status(&mut client, name)[0]["needs_operator"], true);
    }
    fs::write(&key, format!("{SECRET}\n")).unwrap();
    wait_until_done(&mut client, "by-file");
    took(&receivers[1], &key, &sent);
    server.stop();
    let (server, mut client) = place.start(&[("HOOK_SECRET", SECRET)]);
    wait_until_done(&mut client, "by-env");
    took(&receivers[0], &key, &sent);
    assert_eq!(client.json("/v1/trails/by-env")["sinks"][0]["secret"], json!({"env": "HOOK_SECRET"}));
    server.stop();
}
