//! Which server a command talks to, and with which key.

use std::path::{Path, PathBuf};

use clap::{Args, ValueHint};

use crate::cli::asking::client::Client;
use crate::cli::exit::Failure;

/// The longest key file that is read, in bytes.
const KEY_FILE_BYTES_MAX: u64 = 64 << 10;

/// The options of every command that asks a server.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Server")]
pub struct ConnectionArgs {
    /// The server's address.
    #[arg(long, global = true, env = "TRAILD_URL", default_value = "http://127.0.0.1:8700", value_hint = ValueHint::Url)]
    pub url: String,

    /// The key (bearer token). It shows in the process list: prefer --key-file or the environment.
    #[arg(long, global = true, env = "TRAILD_KEY", hide_env_values = true, value_name = "TOKEN")]
    pub key: Option<String>,

    /// A file with the key; counts before --key.
    #[arg(long, global = true, env = "TRAILD_KEY_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub key_file: Option<PathBuf>,

    /// Certificates (PEM) to trust instead of the built-in public authorities, for https:// servers.
    #[arg(long, global = true, env = "TRAILD_CA_FILE", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub ca_file: Option<PathBuf>,
}

impl ConnectionArgs {
    /// A client for this server; nothing is sent yet.
    ///
    /// # Errors
    /// When the address is no http:// or https:// URL, or a file cannot be read.
    pub fn client(&self) -> Result<Client, Failure> {
        let key = match &self.key_file {
            Some(path) => Some(read_small(path)?),
            None => self.key.clone(),
        };
        let key = key.map(|key| key.trim().to_owned()).filter(|key| !key.is_empty());
        let authorities = self.ca_file.as_deref().map(read_small).transpose()?;
        Client::new(&self.url, key.as_deref(), authorities.as_deref())
    }
}

fn read_small(path: &Path) -> Result<String, Failure> {
    use std::io::Read;
    let failed = |e: std::io::Error| Failure::usage(format!("cannot read {}: {e}", path.display()));
    let mut text = String::new();
    std::fs::File::open(path).map_err(failed)?.take(KEY_FILE_BYTES_MAX).read_to_string(&mut text).map_err(failed)?;
    Ok(text)
}
