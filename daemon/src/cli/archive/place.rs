//! Where an archive is: a folder, or a bucket that speaks S3.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value};
use tokio::runtime::{Builder, Runtime};
use trail_engine::event::read_time;
use trail_engine::id::Timestamp;

use crate::backend::{Hands, Schedule};
use crate::cli::exit::{Exit, Failure};
use crate::config::Config;
use crate::trails::archive::{Archive, Days};
use crate::trails::sink::fault::Fault;
use crate::trails::sink::object::folder::Folder;
use crate::trails::sink::object::store::ObjectStore;

/// Where an archive is, and which of its days are meant.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The folder of the trail: a path, file:///PATH, or s3://BUCKET/PREFIX/TRAIL.
    #[arg(value_name = "URL")]
    url: String,

    /// Events received from this day on (2026-11-22), UTC.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,

    /// Events received before this day, UTC.
    #[arg(long, value_name = "DAY")]
    to: Option<String>,

    /// The S3 server's URL; AWS by default.
    #[arg(long, env = "AWS_ENDPOINT_URL_S3", value_name = "URL")]
    endpoint: Option<String>,

    /// The bucket's region.
    #[arg(long, env = "AWS_REGION", value_name = "REGION", default_value = "us-east-1")]
    region: String,
}

impl PlaceArgs {
    /// The archive.
    ///
    /// # Errors
    /// When the URL or the key cannot be used.
    pub fn archive(&self) -> Result<Archive, Failure> {
        let hands = Hands::new(&Schedule::of(&Config::default()));
        Ok(Archive::new(match self.url.strip_prefix("s3://") {
            Some(rest) => self.bucket(rest, &hands).map_err(Failure::usage)?,
            None => {
                let path = PathBuf::from(self.url.strip_prefix("file://").unwrap_or(&self.url));
                if !path.is_dir() {
                    return Err(Failure::usage(format!("there is no folder {}", path.display())));
                }
                Box::new(Folder::new(path, &hands))
            }
        }))
    }

    #[cfg(feature = "object-stores")]
    fn bucket(&self, rest: &str, hands: &Hands) -> Result<Box<dyn ObjectStore>, String> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let key = |name: &str| std::env::var(name).map_err(|_| format!("set {name} in the environment"));
        let mut members: Map<String, Value> = [
            ("bucket", bucket.to_owned()),
            ("region", self.region.clone()),
            ("access_key_id", key("AWS_ACCESS_KEY_ID")?),
            ("secret_access_key", key("AWS_SECRET_ACCESS_KEY")?),
        ]
        .into_iter()
        .map(|(name, text)| (name.to_owned(), text.into()))
        .collect();
        let more =
            [("prefix", Some(prefix.to_owned())), ("endpoint", self.endpoint.clone()), ("session_token", key("AWS_SESSION_TOKEN").ok())];
        let given = more.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text.filter(|text| !text.is_empty())?.into())));
        members.extend(given);
        crate::trails::sink::s3::store(&members, hands)
    }

    #[cfg(not(feature = "object-stores"))]
    fn bucket(&self, _rest: &str, _hands: &Hands) -> Result<Box<dyn ObjectStore>, String> {
        let _unused: (Map<String, Value>, &str) = (Map::new(), &self.region);
        Err(format!("this traild was built without object stores, and cannot read {}", self.url))
    }

    /// The days that are meant.
    ///
    /// # Errors
    /// When one cannot be read.
    pub fn days(&self) -> Result<Days, Failure> {
        let read = |text: &Option<String>| -> Result<Option<Timestamp>, Failure> {
            let Some(text) = text else { return Ok(None) };
            let time = read_time(text).or_else(|| read_time(&format!("{text}T00:00:00Z")));
            time.map(Some).ok_or_else(|| Failure::usage(format!("`{text}` is no day, such as 2026-11-22")))
        };
        Ok(Days { from: read(&self.from)?.map(Timestamp::day), to: read(&self.to)?.map(Days::end) })
    }
}

/// A runtime for a command.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|e| Failure::usage(format!("cannot start: {e}")))
}

/// What a fault of a store is to a command.
#[must_use]
pub fn failed(fault: Fault) -> Failure {
    Failure::new(Exit::Unreachable, fault.message)
}
