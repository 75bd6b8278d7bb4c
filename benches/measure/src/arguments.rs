//! [`Arguments`]: what is measured, from the command line.

use std::net::SocketAddr;
use std::path::PathBuf;

use trail_corpus::{Parameters, read_end};
use trail_rig::Result;

pub(crate) const USAGE: &str = "usage: measure [options]
  --events N,M,..  how many events are generated and stored (1000000); of several numbers, one log after the other, and at the
                   end a table of how much longer queries take in the larger ones
  --days D         over how many days (3)
  --end T          where these days end (2026-11-22T00:00:00Z)
  --seed S         what everything random follows from (1)
  --batch N        events a request (1000)
  --connections N  connections that store at the same time (2)
  --runs N         how often each query is asked (40); ten times as often where it takes less than 10 ms
  --rest S         seconds without a question, after which memory is looked at; 0: it is not (75)
  --binary FILE    the server (traild beside this program)
  --data-dir DIR   an empty directory to store in, which is kept (a new one, which is removed)
  --set NAME=VALUE a setting of the server; may be given again (head_age_max=10s, so that everything is flushed soon)
  --only-queries   store nothing: --data-dir or --url holds these very events already, and others beside them if need be
  --under-ingest   ask again while other events are stored at full speed, which stay; no restarts then
  --only-alone     flushing and merging alone, nothing else
  --url URL        a server that runs already, and is empty; its CPU, memory, disk and restarts are not measured";

/// What is measured.
#[derive(Debug)]
pub(crate) struct Arguments {
    /// How many events; those of `parameters` are the first of them.
    pub(crate) sizes: Vec<u64>,
    pub(crate) parameters: Parameters,
    pub(crate) batch: usize,
    pub(crate) connections: usize,
    pub(crate) runs: usize,
    pub(crate) rest: u64,
    pub(crate) binary: Option<PathBuf>,
    pub(crate) data_dir: Option<PathBuf>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) only_queries: bool,
    pub(crate) under_ingest: bool,
    pub(crate) only_alone: bool,
    pub(crate) url: Option<SocketAddr>,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut out = Arguments::defaults();
        while let Some(name) = words.next() {
            if let Some(flag) = out.flag(&name) {
                *flag = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            out.set(&name, value)?;
        }
        if out.only_queries && out.data_dir.is_none() && out.url.is_none() {
            return Err("--only-queries needs --data-dir or --url".into());
        }
        if out.sizes.len() > 1 && (out.data_dir.is_some() || out.url.is_some()) {
            return Err("several numbers of --events go with neither --data-dir nor --url".into());
        }
        if out.batch == 0 || out.connections == 0 || out.runs == 0 {
            return Err("--batch, --connections and --runs must not be zero".into());
        }
        Ok(out)
    }

    fn flag(&mut self, name: &str) -> Option<&mut bool> {
        match name {
            "--only-queries" => Some(&mut self.only_queries),
            "--under-ingest" => Some(&mut self.under_ingest),
            "--only-alone" => Some(&mut self.only_alone),
            _ => None,
        }
    }

    fn defaults() -> Arguments {
        Arguments {
            sizes: vec![Parameters::default().events],
            parameters: Parameters::default(),
            batch: 1_000,
            connections: 2,
            runs: 40,
            rest: 75,
            binary: None,
            data_dir: None,
            settings: vec![("TRAILD_HEAD_AGE_MAX".into(), "10s".into())],
            only_queries: false,
            under_ingest: false,
            only_alone: false,
            url: None,
        }
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        let bad = || format!("{name}: `{value}` is not a value for it\n{USAGE}");
        match name {
            "--events" => {
                self.sizes = value.split(',').map(str::parse).collect::<std::result::Result<_, _>>().map_err(|_| bad())?;
                self.parameters.events = self.sizes.first().copied().ok_or_else(bad)?;
            }
            "--days" => self.parameters.days = value.parse().map_err(|_| bad())?,
            "--end" => self.parameters.end = read_end(&value).ok_or_else(bad)?,
            "--seed" => self.parameters.seed = value.parse().map_err(|_| bad())?,
            "--batch" => self.batch = value.parse().map_err(|_| bad())?,
            "--connections" => self.connections = value.parse().map_err(|_| bad())?,
            "--runs" => self.runs = value.parse().map_err(|_| bad())?,
            "--rest" => self.rest = value.parse().map_err(|_| bad())?,
            "--binary" => self.binary = Some(value.into()),
            "--data-dir" => self.data_dir = Some(value.into()),
            "--url" => self.url = Some(value.trim_start_matches("http://").trim_end_matches('/').parse().map_err(|_| bad())?),
            "--set" => {
                let (name, value) = value.split_once('=').ok_or_else(bad)?;
                self.settings.push((format!("TRAILD_{}", name.to_uppercase()), value.to_owned()));
            }
            _ => return Err(format!("unknown option {name}\n{USAGE}").into()),
        }
        Ok(())
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
        let read_all =
            read("--events 5 --seed 9 --batch 10 --url http://127.0.0.1:8700/ --set head_bytes_max=1MiB --only-queries --under-ingest")
                .unwrap();
        assert_eq!((read_all.parameters.events, read_all.parameters.seed, read_all.batch), (5, 9, 10));
        assert!(read_all.only_queries && read_all.under_ingest && !read("").unwrap().under_ingest);
        assert_eq!((read("").unwrap().rest, read("--rest 0").unwrap().rest), (75, 0));
        assert_eq!(read_all.url.map(|u| u.port()), Some(8_700));
        assert!(!read_all.only_alone && read("--only-alone").unwrap().only_alone);
        let sizes = read("--events 1,20,300").unwrap();
        assert_eq!((sizes.sizes, sizes.parameters.events), (vec![1, 20, 300], 1));
        assert_eq!(read_all.settings.last(), Some(&("TRAILD_HEAD_BYTES_MAX".to_owned(), "1MiB".to_owned())));
    }

    #[test]
    fn wrong_words_are_refused() {
        for line in [
            "--events",
            "--events x",
            "--events 1,",
            "--events 1,2 --data-dir x",
            "--nothing 1",
            "--only-queries",
            "--runs 0",
            "--set a",
            "--end yesterday",
        ] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
