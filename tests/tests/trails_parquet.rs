//! Parquet files are read as they are by engines that others wrote: pyarrow and DuckDB.
//!
//! The oracle is the server: what the readers find in the files must be what the log holds, events, times and terms.

use std::path::Path;
use std::process::Output;

use ring::digest::{SHA256, digest};
use serde_json::{Value, json};
use trail_engine::event::read_time;
use trail_tests::client::{Client, JSON, NDJSON};
use trail_tests::fixtures::{ALWAYS, GOOD, bytes};
use trail_tests::python::{program, skip};
use trail_tests::server::Server;
use trail_tests::table::wait_for;

/// Reads every file of a folder and prints one JSON array: rows, and what DuckDB counts by user.
const READER: &str = r#"
import glob, hashlib, json, sys
import duckdb, pyarrow, pyarrow.dataset as dataset, pyarrow.parquet as parquet
folder = sys.argv[1]
table = dataset.dataset(folder, format="parquet", partitioning="hive").to_table().sort_by("sequence")
# All columns, in their order, and what DuckDB makes of them.
TIME, TEXT, TEXTS = "timestamp[us, tz=UTC]", "string", "list<element: string not null>"
wanted = [("sequence", "uint64"), ("received_at", TIME), ("event_time", TIME)]
wanted += [(name, TEXTS if several == "several" else TEXT) for name, several in json.loads(sys.argv[3])]
wanted += [("event", TEXT), ("day", "string")]
found = [(field.name, str(field.type)) for field in table.schema]
assert [pair for pair in found if pair[0] != "day"] == wanted[:-1] and found[-1][0] == "day", found
in_duckdb = {"uint64": "UBIGINT", TIME: "TIMESTAMP WITH TIME ZONE", TEXT: "VARCHAR", TEXTS: "VARCHAR[]"}
described = duckdb.sql(f"describe select * from read_parquet('{folder}/**/*.parquet', hive_partitioning=false)").fetchall()
assert [(row[0], row[1]) for row in described] == [(name, in_duckdb[kind]) for name, kind in wanted[:-1]], described

# What is required, how it is packed, and which statistics every row group has.
required = {"sequence", "received_at", "event_time", "event"}
for name in sorted(glob.glob(folder + "/**/*.parquet", recursive=True)):
    file = parquet.ParquetFile(name)
    assert [field.name for field in file.schema_arrow if not field.nullable] == [name for name, _ in wanted if name in required]
    for number in range(file.metadata.num_row_groups):
        group = file.metadata.row_group(number)
        rows = file.read_row_group(number)
        for at in range(group.num_columns):
            column = group.column(at)
            path, statistics = column.path_in_schema.split("."), column.statistics
            assert column.compression == "ZSTD", column
            if path[0] == "event":
                assert statistics is None or not statistics.has_min_max, column
                continue
            values = rows.column(path[0])
            values = values.combine_chunks().flatten() if len(path) > 1 else values
            values = [value for value in values.to_pylist() if value is not None]
            if not values:
                assert not statistics.has_min_max, column
            elif path[0] in ("received_at", "event_time", "sequence"):
                assert [statistics.min, statistics.max] == [min(values), max(values)], column
            else:
                # Statistics of texts are in the order of their bytes, and long ones may be cut off.
                least, most = (text if isinstance(text, str) else text.decode() for text in (statistics.min, statistics.max))
                assert least.encode() <= min(value.encode() for value in values), column
                assert most.encode() >= max(value.encode() for value in values), column
            if len(path) == 1:
                assert statistics.null_count == rows.column(path[0]).null_count, column
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
# The texts as bytes, by both engines.
texts = table.column("event").cast(pyarrow.binary()).to_pylist()
sums = [hashlib.sha256(text).hexdigest() for text in texts]
again = duckdb.sql(f"select sha256(event) from read_parquet('{folder}/**/*.parquet') order by sequence").fetchall()
assert sums == [sum for (sum,) in again]
print(json.dumps({"sums": sums, "accounts": accounts, "rows": rows, "counts": dict(counts)}))
"#;

/// The dimensions of the built-in schema, in its order, and whether an event can have several terms of it.
const DIMENSIONS: [(&str, &str); 18] = [
    ("event_id", "one"),
    ("event_name", "one"),
    ("service", "one"),
    ("user", "several"),
    ("user_type", "several"),
    ("principal_id", "one"),
    ("access_key_id", "one"),
    ("account_id", "several"),
    ("source_ip", "several"),
    ("user_agent", "one"),
    ("region", "one"),
    ("resource_type", "several"),
    ("resource_name", "several"),
    ("event_type", "one"),
    ("read_only", "one"),
    ("error_code", "one"),
    ("mfa", "one"),
    ("request_id", "one"),
];

fn sum(bytes: &[u8]) -> String {
    digest(&SHA256, bytes).as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn read(folder: &Path, odd: u64) -> Option<Value> {
    let dimensions = json!(&DIMENSIONS[..]).to_string();
    let output = program("python")?.arg("-c").arg(READER).arg(folder).arg(odd.to_string()).arg(dimensions).output().unwrap();
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
    let sums = found["sums"].as_array().unwrap();
    for (at_row, (row, (sequence, event))) in rows.iter().zip(&held).enumerate() {
        let stored = client.get(&format!("/v1/sequences/{sequence}"));
        let time = |name: &str| stored.json_member(name).unwrap().get().trim_matches('"').to_owned();
        assert_eq!(row[0].as_u64(), Some(*sequence));
        assert_eq!(row[3].as_str().unwrap().as_bytes(), event, "{sequence}");
        assert_eq!(sums[at_row].as_str().unwrap(), sum(event), "{sequence}");
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
