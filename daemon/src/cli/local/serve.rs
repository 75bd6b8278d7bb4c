//! `traild serve`: the daemon.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use crate::backend::Schedule;
use crate::cli::exit::{Exit, Failure, Outcome};
use crate::config::{Config, ConfigError, Overrides, memory_of_system};
use crate::server;
use crate::trails::definition::read_configured;

/// Examples for the help text.
pub const EXAMPLES: &str = "Examples:
  traild serve                                              ./traild-data on 127.0.0.1:8700, nothing to configure
  traild serve --data-dir /var/lib/traild --retention 90d
  traild serve --config /etc/traild.toml --listen 0.0.0.0:8700
  traild serve --data-dir /mnt/copy --read-only             look at a copy

Every setting can also stand in the configuration file or in the environment (TRAILD_...). SIGTERM and Ctrl-C stop the
server without losing an acknowledged event.";

/// Runs the server.
#[derive(Debug, Clone, Args)]
pub struct ServeArgs {
    /// The configuration file (TOML).
    #[arg(long, env = "TRAILD_CONFIG", value_name = "FILE", value_hint = ValueHint::FilePath)]
    config: Option<PathBuf>,

    /// Where events are kept; ./traild-data by default.
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    data_dir: Option<PathBuf>,

    /// Where requests are answered; 127.0.0.1:8700 by default.
    #[arg(long, value_name = "ADDR")]
    listen: Option<String>,

    /// How long events are kept, such as 30d (the default).
    #[arg(long, value_name = "TIME")]
    retention: Option<String>,

    /// Take no events, change nothing on disk.
    #[arg(long)]
    read_only: bool,

    /// What is logged: off, error, warn, info, debug, trace.
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<String>,

    /// How it is logged: text or json.
    #[arg(long, value_name = "FORMAT")]
    log_format: Option<String>,
}

/// Runs the command until a signal stops it.
///
/// # Errors
/// When the configuration is wrong, or the server cannot start or stop in order.
pub fn serve(args: &ServeArgs) -> Outcome {
    let config = load_config(args.config.as_deref(), &overrides(args))?;
    server::init_logs(&config).map_err(Failure::usage)?;
    let failed = |e: std::io::Error| Failure::usage(format!("cannot start: {e}"));
    let runtime = Schedule::of(&config).runtime().build().map_err(failed)?;
    runtime.block_on(async {
        use tokio::signal::unix::{SignalKind, signal};
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let shutdown = async move {
            tokio::select! { _ = terminate.recv() => (), _ = interrupt.recv() => () }
        };
        server::serve(config, shutdown).await.map_err(|e| Failure::new(Exit::Refused, e.to_string()))
    })?;
    Ok(Exit::Ok)
}

/// The configuration from file, environment and flags.
///
/// # Errors
/// With every problem that it has.
pub fn load_config(file: Option<&Path>, overrides: &Overrides) -> Result<Config, Failure> {
    // A variable that is not UTF-8 cannot be one of ours, and must not end the process.
    let environment = std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    let defaults = memory_of_system().map_or_else(Config::default, Config::within);
    let config = defaults.load_onto(file, environment, overrides).map_err(|e| Failure::usage(e.to_string()))?;
    // What a trail means is known to the trails alone; it is said before anything is opened all the same.
    let schema = config.engine_options()?.schema;
    read_configured(&config.trails, &schema).map_err(|problems| Failure::usage(ConfigError { problems }.to_string()))?;
    Ok(config)
}

fn overrides(args: &ServeArgs) -> Overrides {
    let given = [
        ("listen", args.listen.clone()),
        ("retention", args.retention.clone()),
        // A flag that is not there leaves the setting to the other sources.
        ("read_only", args.read_only.then(|| "true".to_owned())),
        ("log_level", args.log_level.clone()),
        ("log_format", args.log_format.clone()),
    ];
    let settings = given.into_iter().filter_map(|(name, text)| Some((name, text?))).collect();
    Overrides { settings, data_dir: args.data_dir.clone() }
}
