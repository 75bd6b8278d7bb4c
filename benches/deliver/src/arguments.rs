//! [`Arguments`]: what is measured, from the command line.

use std::path::PathBuf;
use std::str::FromStr;

use trail_rig::Result;

pub(crate) const USAGE: &str = "usage: deliver [options]
  --events N     how many events are stored and delivered (1000000)
  --seed S       what everything random follows from (1)
  --rate R       events a second beside which trails deliver (30000)
  --soon R       events a second whose way to a log service is timed (10000)
  --seconds S    for how long, each time (10)
  --rounds N     how often ingest is timed without and with a trail, in turn (2)
  --part NAME    only this part; may be given again: folder, filters, segments, ingest, full, service
  --binary FILE  the server (traild beside this program)
  --load FILE    what stores (load beside this program)";

/// The parts, in their order.
pub(crate) const PARTS: [&str; 6] = ["folder", "filters", "segments", "ingest", "full", "service"];

/// What is measured.
#[derive(Debug)]
pub(crate) struct Arguments {
    pub(crate) events: u64,
    pub(crate) seed: u64,
    pub(crate) rate: u64,
    pub(crate) soon: u64,
    pub(crate) seconds: u64,
    pub(crate) rounds: usize,
    parts: Vec<String>,
    pub(crate) binary: Option<PathBuf>,
    pub(crate) load: Option<PathBuf>,
}

impl Arguments {
    /// Reads the words after the program's name.
    pub(crate) fn read(mut words: impl Iterator<Item = String>) -> Result<Arguments> {
        let mut out = Arguments {
            events: 1_000_000,
            seed: 1,
            rate: 30_000,
            soon: 10_000,
            seconds: 10,
            rounds: 2,
            parts: Vec::new(),
            binary: None,
            load: None,
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or_else(|| format!("{name} needs a value\n{USAGE}"))?;
            out.set(&name, value)?;
        }
        // A request of the timed way has a hundred events.
        if out.events == 0 || out.rate == 0 || out.soon < 100 || out.seconds == 0 || out.rounds == 0 {
            return Err("--events, --rate, --seconds and --rounds must not be zero, --soon at least 100".into());
        }
        Ok(out)
    }

    /// Whether a part is wanted.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.parts.is_empty() || self.parts.iter().any(|wanted| wanted == part)
    }

    fn set(&mut self, name: &str, value: String) -> Result<()> {
        match name {
            "--events" => self.events = number(name, &value)?,
            "--seed" => self.seed = number(name, &value)?,
            "--rate" => self.rate = number(name, &value)?,
            "--soon" => self.soon = number(name, &value)?,
            "--seconds" => self.seconds = number(name, &value)?,
            "--rounds" => self.rounds = number(name, &value)?,
            "--part" if PARTS.contains(&value.as_str()) => self.parts.push(value),
            "--part" => return Err(format!("--part: `{value}` is not one of {}", PARTS.join(", ")).into()),
            "--binary" => self.binary = Some(value.into()),
            "--load" => self.load = Some(value.into()),
            _ => return Err(format!("unknown option {name}\n{USAGE}").into()),
        }
        Ok(())
    }
}

fn number<N: FromStr>(name: &str, value: &str) -> Result<N> {
    value.parse().map_err(|_| format!("{name}: `{value}` is not a value for it\n{USAGE}").into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Arguments> {
        Arguments::read(line.split_whitespace().map(str::to_owned))
    }

    #[test]
    fn words_become_arguments() {
        let some = read("--events 5 --seed 9 --rate 7 --soon 200 --seconds 3 --rounds 1 --part folder --part service").unwrap();
        assert_eq!((some.events, some.seed, some.rate, some.soon, some.seconds, some.rounds), (5, 9, 7, 200, 3, 1));
        assert!(some.wants("folder") && some.wants("service") && !some.wants("ingest"));
        assert!(PARTS.iter().all(|part| read("").unwrap().wants(part)));
    }

    #[test]
    fn wrong_words_are_refused() {
        for line in ["--events", "--events x", "--nothing 1", "--part all", "--rounds 0", "--soon 99"] {
            assert!(read(line).is_err(), "{line}");
        }
    }
}
