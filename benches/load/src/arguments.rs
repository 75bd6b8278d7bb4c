//! [`Arguments`]: which load, from the command line.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use trail_corpus::read_end;
use trail_rig::{Result, epoch_seconds};

use crate::protocol::Protocol;
use crate::schedule::Limit;
use crate::url::Url;

pub(crate) const USAGE: &str = "usage: load [options] --url URL | --serve TRAILD --data DIR
  --url URL        http://HOST:PORT[/PATH?QUERY]; without a path that of the protocol
  --pid N          the server's process, for its CPU and memory
  --serve TRAILD   start this server on --data DIR instead, and stop it at the end
  --set NAME=VALUE a setting of that server; may be given again
  --protocol P     native (/v1/events), lines (JSON lines) or bulk (Elasticsearch, /_bulk) (native)
  --token TEXT     sent as bearer token
  --header N:V     a header of every request; may be given again
  --connections N  how many are kept open (2)
  --batch N        events a request (1000)
  --events N       how many events are sent (1000000)
  --seconds S      or for how long
  --warm-up N      so many events before, which count in no figure (0)
  --rate R         events a second, as planned; latency counts from the planned time (as fast as answered)
  --days D         over how many days the times of the events are spread (3)
  --end T          where these days end, like 2026-11-22T00:00:00Z (now)
  --seed S         what everything random follows from (1)
  --memory M       MiB of events that are made once and then changed in place (64)
  --json           print one line of JSON";

/// Which load.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) url: Option<Url>,
    pub(crate) pid: Option<u32>,
    pub(crate) serve: Option<PathBuf>,
    pub(crate) data: Option<PathBuf>,
    pub(crate) settings: Vec<(String, String)>,
    pub(crate) protocol: Protocol,
    /// Lines of the head, each with its end.
    pub(crate) headers: String,
    pub(crate) connections: usize,
    pub(crate) batch: usize,
    pub(crate) limit: Limit,
    pub(crate) warm_up: u64,
    pub(crate) rate: Option<f64>,
    pub(crate) days: f64,
    /// Seconds since 1970-01-01T00:00:00Z.
    pub(crate) end: i64,
    pub(crate) seed: u64,
    /// In bytes.
    pub(crate) memory: usize,
    pub(crate) json: bool,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut out = Arguments::defaults();
        while let Some(name) = words.next() {
            if name == "--json" {
                out.json = true;
                continue;
            }
            let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            out.set(&name, &value).ok_or_else(|| format!("{name} with `{value}` is not an option\n{USAGE}"))?;
        }
        out.check()?;
        Ok(out)
    }

    fn defaults() -> Arguments {
        Arguments {
            url: None,
            pid: None,
            serve: None,
            data: None,
            settings: Vec::new(),
            protocol: Protocol::Native,
            headers: String::new(),
            connections: 2,
            batch: 1_000,
            limit: Limit::Events(1_000_000),
            warm_up: 0,
            rate: None,
            days: 3.0,
            end: epoch_seconds(),
            seed: 1,
            memory: 64 << 20,
            json: false,
        }
    }

    fn set(&mut self, name: &str, value: &str) -> Option<()> {
        match name {
            "--url" => self.url = Some(Url::read(value)?),
            "--pid" => self.pid = Some(value.parse().ok()?),
            "--serve" => self.serve = Some(value.into()),
            "--data" => self.data = Some(value.into()),
            "--set" => {
                let (name, value) = value.split_once('=')?;
                self.settings.push((format!("TRAILD_{}", name.to_uppercase()), value.to_owned()));
            }
            "--protocol" => self.protocol = Protocol::read(value)?,
            "--token" => self.header("authorization", &format!("Bearer {value}"))?,
            "--header" => value.split_once(':').and_then(|(name, value)| self.header(name, value.trim()))?,
            "--connections" => self.connections = within(value, 1, 10_000)?,
            "--batch" => self.batch = within(value, 1, 1_000_000)?,
            "--events" => self.limit = Limit::Events(within(value, 1, 1 << 40)?),
            "--seconds" => self.limit = Limit::Time(Duration::from_secs_f64(within(value, 0.001, 1e7)?)),
            "--warm-up" => self.warm_up = value.parse().ok()?,
            "--rate" => self.rate = Some(within(value, 0.001, 1e9)?),
            "--days" => self.days = within(value, 1e-6, 36_525.0)?,
            "--end" => self.end = read_end(value)?,
            "--seed" => self.seed = value.parse().ok()?,
            "--memory" => self.memory = within::<usize>(value, 1, 1 << 16)? << 20,
            _ => return None,
        }
        Some(())
    }

    fn header(&mut self, name: &str, value: &str) -> Option<()> {
        let odd = |text: &str| text.bytes().any(|b| b < b' ' || b == 0x7f);
        if name.is_empty() || odd(name) || odd(value) {
            return None;
        }
        self.headers.push_str(&format!("{name}: {value}\r\n"));
        Some(())
    }

    fn check(&self) -> Result<()> {
        let wrong = match (&self.url, &self.serve, &self.data) {
            (Some(_), None, None) if self.settings.is_empty() => None,
            (None, Some(_), Some(_)) if self.pid.is_none() && self.protocol == Protocol::Native => None,
            (Some(_), _, _) => Some("--url is for a server that runs: --serve, --data and --set are not for it"),
            (None, Some(_), Some(_)) => Some("--serve speaks `native`, and its process is known"),
            _ => Some("either --url, or --serve and --data"),
        };
        wrong.map_or(Ok(()), |wrong| Err(format!("{wrong}\n{USAGE}").into()))
    }
}

fn within<T: FromStr + PartialOrd>(value: &str, least: T, most: T) -> Option<T> {
    value.parse().ok().filter(|number| *number >= least && *number <= most)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_become_arguments() {
        let all =
            read("--url http://h:1/x --pid 7 --protocol bulk --token t --header A:b --seconds 2.5 --rate 1e4 --memory 2 --json").unwrap();
        assert_eq!(all.url.as_ref().map(|u| u.target.as_str()), Some("/x"));
        assert_eq!((all.limit, all.rate, all.memory, all.json), (Limit::Time(Duration::from_millis(2_500)), Some(1e4), 2 << 20, true));
        assert_eq!(all.headers, "authorization: Bearer t\r\nA: b\r\n");
        let own =
            read("--serve bin --data dir --set head_age_max=10s --events 5 --batch 2 --connections 3 --end 2026-11-22T00:00:00Z").unwrap();
        assert_eq!((own.limit, own.batch, own.connections, own.end), (Limit::Events(5), 2, 3, 1_795_305_600));
        assert_eq!(own.settings, [("TRAILD_HEAD_AGE_MAX".to_owned(), "10s".to_owned())]);
    }

    #[test]
    fn wrong_words_are_refused() {
        let alone =
            ["", "--url", "--url https://h", "--serve b", "--data d", "--url h --serve b --data d", "--serve b --data d --protocol lines"];
        let with_url =
            ["--batch 0", "--events x", "--rate nan", "--days 0", "--seconds -1", "--header x", "--nothing 1", "--set a=b", "--end now"];
        for line in alone.map(str::to_owned).into_iter().chain(with_url.map(|more| format!("--url h {more}"))) {
            assert!(read(&line).is_err(), "{line}");
        }
    }
}
