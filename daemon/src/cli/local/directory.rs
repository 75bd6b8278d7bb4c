//! [`DirectoryArgs`]: what commands are told that work on the data directory of a stopped server, and how they say how far they are.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::{Args, ValueHint};
use trail_engine::{OnStep, Options, Step};

use crate::cli::exit::Failure;
use crate::cli::local::serve::load_config;
use crate::cli::terminal::progress::Progress;
use crate::config::Overrides;

/// A data directory, and the settings of its server that count for what is in it.
#[derive(Debug, Clone, Args)]
pub struct DirectoryArgs {
    /// The data directory.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: PathBuf,

    /// The server's configuration file (TOML), if it has one: its retention says what should be gone, its dimensions how events are indexed.
    #[arg(long, env = "TRAILD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// How long the server keeps events, if that is said to it by a flag.
    #[arg(long, value_name = "TIME")]
    retention: Option<String>,
}

impl DirectoryArgs {
    /// The directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.data_dir
    }

    /// The engine's options as the server would have them; `read_only` is the caller's.
    ///
    /// # Errors
    /// When the configuration is wrong.
    pub fn options(&self, read_only: bool) -> Result<Options, Failure> {
        let settings = self.retention.iter().map(|text| ("retention", text.clone())).collect();
        let overrides = Overrides { settings, data_dir: Some(self.data_dir.clone()) };
        let config = load_config(self.config.as_deref(), &overrides)?;
        let options = config.engine_options().map_err(Failure::from)?;
        Ok(Options { read_only, ..options })
    }
}

/// A bar, and what moves it.
#[must_use]
pub fn bar() -> (Arc<Progress>, OnStep) {
    let progress = Arc::new(Progress::new(Some(0)));
    let shown = progress.clone();
    (progress, Arc::new(move |step: Step<'_>| shown.at(step.about, step.done, step.total)))
}
