//! [`Arguments`]: what is compared, from the command line.

use std::path::PathBuf;

use trail_corpus::Parameters;
use trail_rig::Result;

pub(crate) const USAGE: &str = "usage: peers [options]
  --events N     how many events (1000000)
  --seed S       what everything random follows from (1)
  --runs N       how often each query is asked (40)
  --peers LIST   traild,tantivy,clickhouse,clp-s and http://HOST:PORT[#PROCESS] of a running, empty server that speaks as VictoriaLogs does;
                 with the number of its process, its CPU and memory are measured (traild,tantivy,clickhouse,clp-s)
  --traild FILE  the server (one built from this tree)
  --work DIR     where events, data and what is installed go; data is removed at the end (beside this program)
  --out DIR      where RESULTS.md and peers.svg are written (benches/ where neither events, seed, runs nor peers are fewer or
                 others than these; else nowhere)";

const PEERS: [&str; 4] = ["traild", "tantivy", "clickhouse", "clp-s"];
const RUNS: usize = 40;

/// What is compared.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) parameters: Parameters,
    pub(crate) runs: usize,
    pub(crate) peers: Vec<String>,
    pub(crate) traild: Option<PathBuf>,
    pub(crate) work: PathBuf,
    /// `None`: the record that is kept is of another run, and stays.
    pub(crate) out: Option<PathBuf>,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut out = Arguments {
            parameters: Parameters::default(),
            runs: RUNS,
            peers: PEERS.map(str::to_owned).into(),
            traild: None,
            // Not in /tmp, which may be memory: then "durable" would cost nothing.
            work: std::env::current_exe()?.with_file_name("peers-work"),
            out: None,
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            let number = || value.parse::<u64>().map_err(|_| format!("{name}: `{value}` is no number\n{USAGE}"));
            match name.as_str() {
                "--events" => out.parameters.events = number()?,
                "--seed" => out.parameters.seed = number()?,
                "--runs" => out.runs = number()? as usize,
                "--peers" => out.peers = value.split(',').map(str::to_owned).collect(),
                "--traild" => out.traild = Some(value.into()),
                "--work" => out.work = value.into(),
                "--out" => out.out = Some(value.into()),
                _ => return Err(format!("unknown option {name}\n{USAGE}").into()),
            }
        }
        if out.out.is_none() && out.is_ordinary() {
            out.out = Some(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/..")));
        }
        if out.runs == 0 {
            return Err("--runs must not be zero".into());
        }
        let known = |peer: &String| PEERS.contains(&peer.as_str()) || peer.starts_with("http://");
        match out.peers.iter().find(|peer| !known(peer)) {
            Some(peer) => Err(format!("nothing is known about the peer `{peer}`\n{USAGE}").into()),
            None => Ok(out),
        }
    }

    /// Whether it is the comparison whose record is kept: these events, and everybody.
    fn is_ordinary(&self) -> bool {
        self.parameters == Parameters::default()
            && self.runs >= RUNS
            && PEERS.iter().all(|peer| self.peers.iter().any(|named| named == peer))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_become_arguments() {
        let given = read("--events 5 --seed 9 --runs 2 --peers tantivy,http://127.0.0.1:9428#7 --traild t --work w --out o").unwrap();
        assert_eq!((given.parameters.events, given.parameters.seed, given.runs), (5, 9, 2));
        assert_eq!(given.peers, ["tantivy", "http://127.0.0.1:9428#7"]);
        assert_eq!(read("").unwrap().peers.len(), 4);
        assert_eq!(given.out, Some("o".into()));
        let written = ["", "--traild t", "--events 5", "--peers tantivy", "--runs 2"].map(|line| read(line).unwrap().out.is_some());
        assert_eq!(written, [true, true, false, false, false], "only the ordinary run replaces the record");
    }

    #[test]
    fn wrong_words_are_refused() {
        for line in ["--events", "--events x", "--nothing 1", "--runs 0", "--peers sqlite"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
