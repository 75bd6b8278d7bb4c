//! Secrets of a trail reach its sink and nobody else: not the answers of the server, the command line, the log at its finest, what services say of them, nor the
//! data directory, but for the file of a trail in whose definition they were written.
//!
//! Every kind of sink that has a secret has one that can be recognised, and delivers to a service that repeats what it is told.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};
use tempfile::tempdir;
use trail_tests::binary::{run, traild};
use trail_tests::client::{Client, JSON, NDJSON};
use trail_tests::delivery::{send, status};
use trail_tests::parrot::{Parrot, Tongue};
use trail_tests::server::Server;
use trail_tests::table::wait_for;

/// Every secret begins so; the second is the same in base64, also behind `audit:`.
const PLANTED: &str = "pL4nted-s3cret";
const NEEDLES: [&[u8]; 2] = [PLANTED.as_bytes(), b"cEw0bnRlZC1z"];

/// A sink without its secrets, and the members that are some, with their values.
type Case = (Value, Vec<(&'static str, String)>);

/// The parrots, and a sink for each way to prove who one is.
struct Birds {
    xml: Parrot,
    json: Parrot,
    nats: Parrot,
    kafka: Parrot,
}

impl Birds {
    fn start() -> Birds {
        let [xml, json, nats, kafka] = [Tongue::Xml, Tongue::Json, Tongue::Nats, Tongue::Kafka].map(Parrot::start);
        Birds { xml, json, nats, kafka }
    }

    fn cases(&self) -> Vec<Case> {
        let (xml, json) = (format!("http://{}", self.xml.address), format!("http://{}", self.json.address));
        let (nats, kafka) = (format!("nats://{}", self.nats.address), self.kafka.address.to_string());
        let planted = |what: &str| format!("{PLANTED}-{what}");
        // A key of Azure is base64.
        let of_azure = "cEw0bnRlZC1zM2NyZXQtb2YtYXp1cmU=".to_owned();
        vec![
            (
                json!({"type": "s3", "bucket": "b", "endpoint": xml}),
                vec![("access_key_id", planted("id")), ("secret_access_key", planted("s3")), ("session_token", planted("session"))],
            ),
            (
                json!({"type": "oss", "bucket": "b", "region": "cn-hangzhou", "endpoint": xml, "path_style": true}),
                vec![("access_key_id", planted("id")), ("secret_access_key", planted("oss")), ("session_token", planted("session"))],
            ),
            (json!({"type": "azblob", "container": "b", "account_name": "account", "endpoint": xml}), vec![("account_key", of_azure)]),
            (
                json!({"type": "azblob", "container": "c", "account_name": "account", "endpoint": xml}),
                vec![("sas_token", format!("sv=2021-08-06&sig={}", planted("sas")))],
            ),
            (
                json!({"type": "webhook", "url": format!("{json}/in?token={PLANTED}-url")}),
                vec![("secret", planted("hook")), ("headers.X-Token", planted("header"))],
            ),
            (json!({"type": "elasticsearch", "url": json, "index": "audit"}), vec![("api_key", planted("api"))]),
            (json!({"type": "elasticsearch", "url": json, "index": "audit", "user": "audit"}), vec![("password", planted("basic"))]),
            (
                json!({"type": "sls", "endpoint": json, "project": "p", "logstore": "l", "region": "cn-hangzhou"}),
                vec![("access_key_id", planted("id")), ("access_key_secret", planted("sls")), ("security_token", planted("sts"))],
            ),
            (json!({"type": "nats", "url": nats, "subject": "s", "user": "audit"}), vec![("password", planted("nats"))]),
            (json!({"type": "nats", "url": nats, "subject": "s"}), vec![("token", planted("token"))]),
            (
                json!({"type": "kafka", "brokers": kafka, "topic": "t", "sasl": "plain", "user": "audit"}),
                vec![("password", planted("kafka"))],
            ),
            (json!({"type": "otlp", "url": json}), vec![("headers.Authorization", format!("Bearer {}", planted("otlp")))]),
            (json!({"type": "gcs", "bucket": "b", "endpoint": json}), vec![("credential", of_google(&json, &planted("google")))]),
        ]
    }
}

/// A key with which Google's own service is not asked, but the parrot, which gives a token that is in no definition.
fn of_google(parrot: &str, audience: &str) -> String {
    let token = format!("{parrot}/token");
    let source = json!({"url": token, "format": {"type": "text"}});
    json!({
        "type": "external_account", "audience": audience, "subject_token_type": "urn:ietf:params:oauth:token-type:jwt", "token_url": token,
        "credential_source": source,
    })
    .to_string()
}

/// How secrets are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Given,
    Environment,
    File,
}

/// The sinks with their secrets as they are written, and the variables for the server.
fn written(cases: &[Case], form: Form, folder: &Path) -> (Vec<Value>, Vec<(String, String)>) {
    let (mut sinks, mut variables) = (Vec::new(), Vec::new());
    for (i, (sink, secrets)) in cases.iter().enumerate() {
        let mut sink = sink.clone();
        for (name, secret) in secrets {
            let called = format!("SECRET_{i}_{name}");
            let value = match form {
                Form::Given => json!(secret),
                Form::Environment => json!({ "env": called }),
                Form::File => json!({ "file": folder.join(&called) }),
            };
            match name.split_once('.') {
                Some((outer, inner)) => sink[outer][inner] = value,
                None => sink[*name] = value,
            }
            fs::write(folder.join(&called), format!("{secret}\n")).unwrap();
            variables.push((called, secret.clone()));
        }
        sink["batch"] = json!({"events": 5, "seconds": 0.05});
        sinks.push(sink);
    }
    (sinks, variables)
}

fn has(bytes: &[u8], needles: &[&[u8]]) -> bool {
    needles.iter().any(|needle| bytes.windows(needle.len()).any(|window| window == *needle))
}

fn without_secrets(what: &str, text: &str) {
    assert!(!has(text.as_bytes(), &NEEDLES), "{what}: {text}");
}

/// All files under a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
    entries.flat_map(|entry| if entry.path().is_dir() { files(&entry.path()) } else { vec![entry.path()] }).collect()
}

fn name(i: usize, sink: &Value) -> String {
    format!("{}-{i}", sink["type"].as_str().unwrap())
}

/// Trails that try, and get nowhere.
fn deliver(client: &mut Client, sinks: &[Value]) {
    let events: Vec<String> = (0..40).map(|n| json!({"eventID": format!("e-{n}"), "eventName": "Put"}).to_string()).collect();
    assert_eq!(client.post(NDJSON, events.join("\n").as_bytes()).status, 200);
    for (i, sink) in sinks.iter().enumerate() {
        let trail = json!({"name": name(i, sink), "start": "oldest", "sinks": [sink], "start_now": true});
        without_secrets("POST", &send(client, "POST", "/v1/trails", &trail).to_string());
    }
    for (i, sink) in sinks.iter().enumerate() {
        let name = name(i, sink);
        // Each kind of refusal at least once.
        wait_for(&name, || {
            let told = &status(client, &name)[0];
            told["failed_attempts"].as_u64() >= Some(3) || told["dead_letters"].as_u64() > Some(0)
        });
    }
}

/// Everything that is shown of them, over HTTP and by the commands.
fn look(server: &Server, sinks: &[Value], forms: &[&[&str]]) {
    let mut client = server.client();
    let ask = |words: &[&str]| {
        let (_, out, errors) = run(traild().arg("trail").args(words).args(["--url", &server.url()]));
        without_secrets(&format!("{words:?}"), &(out + &errors));
    };
    forms.iter().for_each(|form| ask(&[&["list"], *form].concat()));
    for (i, sink) in sinks.iter().enumerate() {
        let name = name(i, sink);
        for verb in ["show", "status", "test"] {
            forms.iter().for_each(|form| ask(&[&[verb, &name], *form].concat()));
        }
        let told = status(&mut client, &name)[0]["last_error"].clone();
        println!("{name}: {told}");
        assert!(told.as_str().is_some_and(|told| told.len() > 20), "{name}: {told}");
        // It came, and was repeated.
        assert!(!name.starts_with("gcs") || told.as_str().unwrap().contains("Bearer (hidden)"), "{name}: {told}");
        let changed = send(&mut client, "PUT", &format!("/v1/trails/{name}"), &json!({"start": "oldest", "sinks": [sink]}));
        without_secrets("PUT", &changed.to_string());
        let shown = client.get(&format!("/v1/trails/{name}"));
        without_secrets("GET", &shown.text_whole());
        // Where it comes from, or that there is one.
        for (member, value) in sink.as_object().unwrap().iter().filter(|(member, _)| *member != "url") {
            let wanted = hidden(value);
            assert_eq!(shown.json()["sinks"][0][member], *wanted.as_ref().unwrap_or(&shown.json()["sinks"][0][member]), "{name}.{member}");
        }
    }
    for path in ["/v1/trails", "/metrics", "/v1/stats", "/readyz", "/openapi.json"] {
        without_secrets(path, &client.get(path).text_whole());
    }
}

/// What is to be shown of a member that is a secret, or of those in it; `None` for another.
fn hidden(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => has(text.as_bytes(), &NEEDLES).then(|| json!("(hidden)")),
        Value::Object(members) if members.contains_key("env") || members.contains_key("file") => Some(value.clone()),
        Value::Object(members) => {
            let inner = members.iter().map(|(name, value)| Some((name.clone(), hidden(value)?)));
            inner.collect::<Option<Map<_, _>>>().map(Value::Object)
        }
        _ => None,
    }
}

/// What is refused says nothing of what was written either.
fn refuse(server: &Server, json: &str) {
    let mut client = server.client();
    let mut hook = Map::new();
    hook.insert("type".into(), "webhook".into());
    for (member, value, words) in [
        ("headers", json!({"X-Token": format!("{PLANTED}\n-5")}), "`headers`"),
        ("url", json!(format!("http://audit:{PLANTED}@127.0.0.1/")), "must not have credentials in it"),
        ("secret", json!([PLANTED]), "`secret` must be a text"),
        ("sercet", json!(PLANTED), "did you mean `secret`?"),
    ] {
        let mut hook = hook.clone();
        hook.insert("url".into(), json.into());
        hook.insert(member.into(), value);
        let trail = json!({"name": "wrong", "sinks": [hook]}).to_string();
        let refused = client.send("POST", "/v1/trails", &[("content-type", JSON)], trail.as_bytes()).unwrap();
        assert!(refused.status == 400 && refused.text_whole().contains(words), "{}", refused.text_whole());
        without_secrets("400", &refused.text_whole());
    }
    // A key of a service account is not tried: whoever signs with it asks Google first.
    let key = json!({"type": "service_account", "client_email": "a@b", "private_key": format!("{PLANTED}-google")}).to_string();
    let sink = json!({"type": "gcs", "bucket": "b", "endpoint": json, "credential": key});
    without_secrets("gcs", &send(&mut client, "POST", "/v1/trails", &json!({"name": "google", "sinks": [sink]})).to_string());
    without_secrets("gcs", &client.get("/v1/trails/google").text_whole());
    send(&mut client, "DELETE", "/v1/trails/google", &Value::Null);
    // What is no JSON at all.
    let refused = client.send("POST", "/v1/trails", &[("content-type", JSON)], format!("{{\"secret\": {PLANTED}").as_bytes()).unwrap();
    assert_eq!(refused.status, 400);
    without_secrets("no JSON", &refused.text_whole());
}

/// Plays everything with secrets that are written in one form; the files that have one of them.
fn play(form: Form) -> (Vec<PathBuf>, Vec<Value>, PathBuf) {
    let directory = tempdir().unwrap();
    let (data, folder) = (directory.path().join("data"), directory.path().join("secrets"));
    fs::create_dir(&folder).unwrap();
    let birds = Birds::start();
    let (sinks, variables) = written(&birds.cases(), form, &folder);
    let mut settings = vec![("TRAILD_LOG_LEVEL", "trace")];
    settings.extend(variables.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let server = Server::start(&data, &settings);
    deliver(&mut server.client(), &sinks);
    look(&server, &sinks, if form == Form::Given { &[&[], &["--json"]] } else { &[&["--json"]] });
    refuse(&server, &format!("http://{}/", birds.json.address));
    for bird in [&birds.xml, &birds.json, &birds.nats, &birds.kafka] {
        assert!(bird.heard() > 0, "nothing was said to {bird:?}");
    }
    let log = server.log().to_owned();
    server.stop();
    let said = fs::read(&log).unwrap();
    assert!(said.len() > 10_000 && has(&said, &[b"DEBUG"]), "the log has {} bytes", said.len());
    // That it was repeated, and not shown, is what all this is about.
    assert!(has(&said, &[b"(hidden)"]), "no service repeated a secret");
    without_secrets("the log", &String::from_utf8_lossy(&said));
    for (i, sink) in sinks.iter().enumerate() {
        let letters = fs::read(data.join(format!("trails/{}.dead", name(i, sink)))).unwrap_or_default();
        without_secrets("dead letters", &String::from_utf8_lossy(&letters));
    }
    let with = files(&data).into_iter().filter(|file| has(&fs::read(file).unwrap(), &NEEDLES)).collect();
    check_modes(&data);
    (with, sinks, data)
}

/// What is kept of trails is for the server's own user alone.
fn check_modes(data: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&data.join("trails")), 0o700);
    for file in files(&data.join("trails")) {
        assert_eq!(mode(&file), 0o600, "{}", file.display());
    }
}

#[test]
fn a_secret_that_is_written_down_stands_in_the_trails_own_file_and_nowhere_else() {
    let (mut with, sinks, data) = play(Form::Given);
    let mut wanted: Vec<PathBuf> = sinks.iter().enumerate().map(|(i, sink)| data.join(format!("trails/{}.trail", name(i, sink)))).collect();
    with.sort();
    wanted.sort();
    assert_eq!(with, wanted);
}

#[test]
fn a_secret_of_the_environment_is_nowhere() {
    // But for what stands behind the `?` of a URL, which is no secret by its form.
    let (with, ..) = play(Form::Environment);
    assert!(with.len() == 1 && with[0].ends_with("trails/webhook-4.trail"), "{with:?}");
}

#[test]
fn a_secret_of_a_file_is_in_that_file_alone() {
    let (with, ..) = play(Form::File);
    assert!(with.len() == 1 && with[0].ends_with("trails/webhook-4.trail"), "{with:?}");
}
