//! Parquet files are read as they are by engines that others wrote: pyarrow and DuckDB.
//!
//! The oracle is the server: what the readers find in the files must be what the log holds, events, times and terms.

use std::path::Path;
use std::process::Output;

use serde_json::{Value, json};
use trail_engine::event::read_time;
use trail_tests::client::{Client, JSON, NDJSON};
use trail_tests::fixtures::{ALWAYS, GOOD, bytes};
use trail_tests::python::{program, skip};
use trail_tests::server::Server;
use trail_tests::table::wait_for;

/// Reads every file of a folder and prints one JSON array: rows, and what DuckDB counts by user.
const READER: &str = r#"
import glob, json, sys
import duckdb, pyarrow.dataset as dataset
folder = sys.argv[1]
table = dataset.dataset(folder, format="parquet", partitioning="hive").to_table().sort_by("sequence")
types = {"sequence": "uint64", "received_at": "timestamp[us, tz=UTC]", "event_time": "timestamp[us, tz=UTC]", "event_name": "string", "event": "string"}
found = {name: str(table.schema.field(name).type) for name in types}
assert found == types, found
assert not any(table.column(name).null_count for name in ["sequence", "received_at", "event_time", "event"]), table.schema
micros = {name: table.column(name).cast("int64").to_pylist() for name in ["received_at", "event_time"]}
rows = [
    [row["sequence"], micros["received_at"][i], micros["event_time"][i], row["event"], str(row["day"])]
    for i, row in enumerate(table.to_pylist())
]
# What an engine makes of the same column: times, not numbers.
days = duckdb.sql(f"select distinct typeof(event_time) from read_parquet('{folder}/**/*.parquet')").fetchall()
assert days == [("TIMESTAMP WITH TIME ZONE",)], days
counts = duckdb.sql(
    f"select event_name, count(*) from read_parquet('{folder}/**/*.parquet') where event_name is not null and sequence < {sys.argv[2]} group by 1 order by 1"
).fetchall()
accounts = sum(len(row["account_id"] or []) for row in table.to_pylist() if row["sequence"] < int(sys.argv[2]))
print(json.dumps({"accounts": accounts, "rows": rows, "counts": dict(counts)}))
"#;

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn read(folder: &Path, odd: u64) -> Option<Value> {
    let output = program("python")?.arg("-c").arg(READER).arg(folder).arg(odd.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", said(&output));
    Some(serde_json::from_slice(&output.stdout).unwrap())
}

fn deliver(client: &mut Client, folder: &Path) {
    let sink = json!({"type": "file", "path": folder, "format": "parquet", "batch": {"events": 100, "seconds": 0.2}});
    let trail = json!({"name": "t", "start": "oldest", "sinks": [sink], "start_now": true});
    let answer = client.send("POST", "/v1/trails", &[("content-type", JSON)], trail.to_string().as_bytes()).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.text());
    wait_for("the delivery", || client.json("/v1/trails/t/status")["sinks"][0]["lag_events"] == 0);
}

#[test]
fn other_engines_read_what_the_log_holds() {
    if program("python").is_none_or(|mut python| !python.args(["-c", "import duckdb, pyarrow"]).status().unwrap().success()) {
        return skip("pyarrow or duckdb");
    }
    let directory = tempfile::tempdir().unwrap();
    let server = Server::start(&directory.path().join("data"), &[]);
    let mut client = server.client();
    // Odd events go last: an array where the schema expects one name makes terms of which one is in the column.
    let mut odd = 0;
    for name in GOOD.iter().filter(|name| **name != "edge").chain(&["edge"]) {
        odd = client.pages(ALWAYS, 500).iter().map(|(sequence, _)| sequence + 1).max().unwrap_or(1);
        let answer = client.post(NDJSON, &bytes(name));
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let folder = directory.path().join("out");
    deliver(&mut client, &folder);
    let found = read(&folder.join("t"), odd).unwrap();

    let mut held = client.pages(ALWAYS, 500);
    held.sort_unstable();
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), held.len());
    for (row, (sequence, event)) in rows.iter().zip(&held) {
        let stored = client.get(&format!("/v1/sequences/{sequence}"));
        let time = |name: &str| stored.json_member(name).unwrap().get().trim_matches('"').to_owned();
        assert_eq!(row[0].as_u64(), Some(*sequence));
        assert_eq!(row[3].as_str().unwrap().as_bytes(), event, "{sequence}");
        for (at, name) in [(1, "received_at"), (2, "event_time")] {
            // What is finer is cut off.
            let micros = read_time(&time(name)).unwrap().0.div_euclid(1_000);
            assert_eq!(row[at].as_i64(), Some(micros), "{name} of {sequence}: {}", time(name));
        }
        let received = time("received_at");
        assert!(received.starts_with(row[4].as_str().unwrap()), "{sequence}: {received} is not of {}", row[4]);
    }
    // The terms of a dimension as the index counts them.
    let terms = client.json(&format!("/v1/terms?dimension=event_name&limit=1000&q=sequence:%3C{odd}&{ALWAYS}"));
    let terms = terms["terms"].as_array().unwrap();
    let counts = found["counts"].as_object().unwrap();
    assert_eq!(counts.len(), terms.len(), "{terms:?}");
    for term in terms {
        assert_eq!(counts[term["term"].as_str().unwrap()], term["count"], "{term}");
    }
    let listed = client.json(&format!("/v1/terms?dimension=account_id&limit=1000&q=sequence:%3C{odd}&{ALWAYS}"));
    let counted: u64 = listed["terms"].as_array().unwrap().iter().map(|term| term["count"].as_u64().unwrap()).sum();
    assert!(counted > 100 && found["accounts"] == counted, "{counted}: {}", found["accounts"]);
    server.stop();
}
