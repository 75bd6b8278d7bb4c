//! Reads the sources in their order and reports every problem at once.

use std::fmt;
use std::path::{Path, PathBuf};

use trail_engine::error::Error;
use trail_engine::options::Options;

use crate::config::file::read_file;
use crate::config::settings::{Config, SETTINGS, Setting};
use crate::dialect::{default_schema, extend};
use crate::nearest::hint;

/// What the flags of the command line gave.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Overrides {
    /// The names of settings, which are those of their flags, and their texts.
    pub settings: Vec<(&'static str, String)>,
    /// `--data-dir`: a path need not be text.
    pub data_dir: Option<PathBuf>,
}

/// Every problem of the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// One sentence a problem, with the source and the line.
    pub problems: Vec<String>,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.problems.len() {
            1 => f.write_str("the configuration has a problem:")?,
            count => write!(f, "the configuration has {count} problems:")?,
        }
        self.problems.iter().try_for_each(|p| write!(f, "\n  {p}"))
    }
}

impl std::error::Error for ConfigError {}

impl Config {
    /// Reads the file (when one is named), the environment and the flags, and checks the whole.
    ///
    /// `environment` is [`std::env::vars`]; only names that start with `TRAILD_` are looked at, and of these not
    /// those that belong to the command line, such as `TRAILD_CONFIG` and `TRAILD_KEY`.
    ///
    /// # Errors
    /// All problems of all sources together.
    pub fn load(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &Overrides,
    ) -> Result<Config, ConfigError> {
        Config::default().load_onto(file, environment, overrides)
    }

    /// The same over other defaults than the written ones.
    ///
    /// # Errors
    /// See [`Config::load`].
    pub fn load_onto(
        self,
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (String, String)>,
        overrides: &Overrides,
    ) -> Result<Config, ConfigError> {
        let mut text = String::new();
        let mut problems = Vec::new();
        if let Some(path) = file {
            match std::fs::read_to_string(path) {
                Ok(read) => text = read,
                Err(e) => problems.push(format!("cannot read {}: {e}", path.display())),
            }
        }
        let name = file.map(|path| path.display().to_string()).unwrap_or_default();
        let mut config = self.clone();
        problems.extend(read_file(&mut config, &name, &text));
        read_environment(&mut config, environment, &mut problems);
        read_overrides(&mut config, overrides, &mut problems);
        config.reconcile(&self);
        // Who wrote keys that cannot be read is told so, and need not be told to make one.
        let told = !problems.is_empty() && text.contains("[[keys]]");
        problems.extend(config.problems().into_iter().filter(|problem| !(told && problem == NO_KEYS)));
        if problems.is_empty() { Ok(config) } else { Err(ConfigError { problems }) }
    }

    /// What the engine is opened with: the settings, and the built-in dimensions with the operator's.
    ///
    /// # Errors
    /// `Invalid` when a dimension of the operator's cannot be added.
    pub fn engine_options(&self) -> Result<Options, Error> {
        let mut schema = default_schema()?;
        extend(&mut schema, &self.dimensions)?;
        Ok(Options { schema, ..self.engine.clone() })
    }

    /// What does not make sense about the values together.
    #[must_use]
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |good: bool, problem: &str| {
            if !good {
                problems.push(problem.to_owned());
            }
        };
        check(!self.keys.is_empty() || self.listen.ip().is_loopback(), NO_KEYS);
        check(self.body_bytes_max > 0, "`body_bytes_max` must not be zero");
        check(self.body_decoded_bytes_max >= self.body_bytes_max, "`body_decoded_bytes_max` must be at least `body_bytes_max`");
        check(self.body_decoded_bytes_max <= 1 << 30, "`body_decoded_bytes_max` must be at most 1GiB");
        check(
            self.inflight_bytes_max >= self.body_decoded_bytes_max * 2,
            "`inflight_bytes_max` must be at least twice `body_decoded_bytes_max`",
        );
        check(self.inflight_bytes_max <= 1 << 40, "`inflight_bytes_max` must be at most 1TiB");
        check((4 << 20..=1 << 40).contains(&self.answer_bytes_max), "`answer_bytes_max` must be between 4MiB and 1TiB");
        check(self.body_ratio_max > 0, "`body_ratio_max` must not be zero");
        check((1 << 10..=1 << 20).contains(&self.header_bytes_max), "`header_bytes_max` must be between 1KiB and 1MiB");
        check((1..=1_000_000).contains(&self.connections_max), "`connections_max` must be between 1 and 1000000");
        check((1..=1_024).contains(&self.ingest_threads), "`ingest_threads` must be between 1 and 1024");
        check((1..=1_024).contains(&self.query_threads), "`query_threads` must be between 1 and 1024");
        check(self.query_queue_max <= 1_000_000, "`query_queue_max` must be at most 1000000");
        check(self.tails_max <= 100_000, "`tails_max` must be at most 100000");
        check(self.auth_failures_per_minute > 0, "`auth_failures_per_minute` must not be zero");
        let timeouts = [self.header_timeout, self.body_timeout, self.idle_timeout, self.write_timeout];
        check(
            timeouts.iter().all(|t| !t.is_zero()),
            "`header_timeout`, `body_timeout`, `idle_timeout` and `write_timeout` must not be zero",
        );
        check(self.idle_timeout.as_secs() >= 20, "`idle_timeout` must be at least 20s: a followed log is silent for up to 15s");
        for (name, bytes, least) in self.least_sizes() {
            check(bytes >= least, &format!("`{name}` must be at least {}KiB", least >> 10));
        }
        if let Err(e) = self.engine_options().and_then(|options| options.check()) {
            problems.push(e.to_string());
        }
        problems
    }

    /// Sizes under which the log would do little but open and close files: name, value and the least, in bytes.
    fn least_sizes(&self) -> [(&'static str, u64, u64); 5] {
        const SMALL: u64 = 64 << 10;
        [
            ("head_bytes_max", self.engine.head_bytes_max, SMALL),
            ("journal_bytes", self.engine.journal_bytes, SMALL),
            ("pending_bytes_max", self.engine.pending_bytes_max, SMALL),
            ("segment_bytes_max", self.engine.segment_bytes_max, 1 << 20),
            ("query_memory", self.engine.query_memory_bytes_max, 1 << 20),
        ]
    }
}

const NO_KEYS: &str = "without `[[keys]]` only a loopback address can be listened on: anybody who reaches the port could read and write \
                       the trail; make a key with `traild key create`, or set `listen` to 127.0.0.1:8700";

fn read_environment(config: &mut Config, environment: impl IntoIterator<Item = (String, String)>, problems: &mut Vec<String>) {
    // The command line's own: which file, and which server and key its client commands use.
    const ELSEWHERE: [&str; 5] = ["TRAILD_CONFIG", "TRAILD_URL", "TRAILD_KEY", "TRAILD_KEY_FILE", "TRAILD_CA_FILE"];
    for (name, value) in environment {
        if !name.starts_with("TRAILD_") || ELSEWHERE.contains(&name.as_str()) {
            continue;
        }
        match SETTINGS.iter().find(|s| s.environment() == name) {
            Some(setting) => {
                if let Err(problem) = (setting.set)(config, &value) {
                    problems.push(format!("environment: `{name}`: {problem}"));
                }
            }
            None => {
                let known: Vec<String> = SETTINGS.iter().map(Setting::environment).collect();
                problems.push(format!("environment: unknown setting `{name}`{}", hint(&name, known.iter().map(String::as_str))));
            }
        }
    }
}

fn read_overrides(config: &mut Config, overrides: &Overrides, problems: &mut Vec<String>) {
    let directory = overrides.data_dir.as_ref().map(|path| ("data_dir", path.to_string_lossy().into_owned()));
    for (name, text) in overrides.settings.iter().chain(&directory) {
        let result = Setting::named(name).map_or_else(|| Err("no such setting".into()), |setting| (setting.set)(config, text));
        if let Err(problem) = result {
            problems.push(format!("--{}: {problem}", name.replace('_', "-")));
        }
    }
    // The text of the path was only there to be checked.
    if let Some(path) = &overrides.data_dir {
        config.data_dir.clone_from(path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str, environment: &[(&str, &str)], overrides: &Overrides) -> Result<Config, ConfigError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("traild.toml");
        std::fs::write(&path, text).unwrap();
        let environment = environment.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned()));
        Config::load(Some(&path), environment, overrides)
    }

    #[test]
    fn flags_win_over_environment_over_file() {
        let file = "retention = \"7d\"\nlisten = \"127.0.0.1:1\"\nconnections_max = 9\nread_only = true\n";
        let flags = Overrides { settings: vec![("listen", "127.0.0.1:3".into())], data_dir: Some("d".into()) };
        let config =
            load(file, &[("TRAILD_RETENTION", "8d"), ("TRAILD_LISTEN", "127.0.0.1:2"), ("TRAILD_CA_FILE", "x"), ("HOME", "x")], &flags)
                .unwrap();
        assert_eq!(config.listen.port(), 3);
        assert_eq!(config.engine.retention.as_secs(), 8 * 86_400);
        assert_eq!(config.connections_max, 9);
        assert!(config.engine.read_only);
        assert_eq!(config.data_dir, Path::new("d"));
        let wrong = Overrides { settings: vec![("retention", "soon".into())], data_dir: Some(PathBuf::new()) };
        let told = load("", &[], &wrong).unwrap_err().to_string();
        assert!(told.contains("--retention: ") && told.contains("--data-dir: the directory is empty"), "{told}");
    }

    #[test]
    fn every_problem_is_told_with_its_line() {
        let file = "retentoin = \"7d\"\nlisten = \"here\"\nidle_timeout = \"1s\"\n\n[[keys]]\nid = \"a\"\nshaa256 = \"x\"\n";
        let error = load(file, &[("TRAILD_LISTN", "x")], &Overrides::default()).unwrap_err();
        let all = error.to_string();
        for part in [
            "toml:1: unknown setting `retentoin`; did you mean `retention`?",
            "toml:2: `listen`",
            "`idle_timeout` must be at least 20s",
            "toml:7: unknown member `shaa256`; did you mean `sha256`?",
            "`TRAILD_LISTN`; did you mean `TRAILD_LISTEN`?",
        ] {
            assert!(all.contains(part), "{part} is not in {all}");
        }
    }

    #[test]
    fn no_keys_means_loopback_only() {
        let open = load("listen = \"0.0.0.0:8700\"", &[], &Overrides::default()).unwrap_err();
        assert!(open.to_string().contains("traild key create"), "{open}");
        let key = format!("listen = \"0.0.0.0:8700\"\n[[keys]]\nid = \"a\"\nsha256 = \"{}\"\nscopes = [\"admin\"]\n", "ab".repeat(32));
        assert_eq!(load(&key, &[], &Overrides::default()).unwrap().keys.len(), 1);
        let wrong = load(&key.replace("admin", "amdin"), &[], &Overrides::default()).unwrap_err();
        assert!(wrong.problems.len() == 1 && wrong.problems[0].contains("toml:5: "), "{wrong}");
    }

    #[test]
    fn sizes_that_cannot_work_are_refused() {
        for (setting, least) in [
            ("head_bytes_max", 64),
            ("journal_bytes", 64),
            ("pending_bytes_max", 64),
            ("segment_bytes_max", 1_024),
            ("query_memory", 1_024),
        ] {
            let with = |kib: u64| load(&format!("{setting} = \"{kib}KiB\"\n"), &[], &Overrides::default());
            assert_eq!(with(least - 1).unwrap_err().problems, [format!("`{setting}` must be at least {least}KiB")]);
            assert!(with(least).is_ok(), "{setting}");
        }
    }

    #[test]
    fn dimensions_and_broken_files() {
        let file = "[[dimensions]]\nname = \"team\"\nkind = \"keyword\"\npaths = [\"labels.team\", 'tags.\"a.b\"']\n";
        let config = load(file, &[], &Overrides::default()).unwrap();
        assert_eq!(config.dimensions[0].paths.len(), 2);
        let broken = load("listen = \n", &[], &Overrides::default()).unwrap_err();
        assert!(broken.to_string().contains("toml:1:"), "{broken}");
        let missing = Config::load(Some(Path::new("/no/such/file")), [], &Overrides::default()).unwrap_err();
        assert!(missing.to_string().contains("cannot read"));
    }
}
