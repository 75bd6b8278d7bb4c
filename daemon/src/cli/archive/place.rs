//! Where an archive is: a folder, or a bucket as trails reach it, named by a URL.
//!
//! The members of a bucket come from the URL, from `--set`, from `--endpoint` and `--region`, and then from the variables that the vendor's own programs take, which
//! the file of each kind of sink names. Limits: a key is never taken from the command line, where others could read it, unless it is set so.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};
use tokio::runtime::{Builder, Runtime};
use trail_engine::event::read_time;
use trail_engine::id::Timestamp;

use crate::backend::{Hands, Schedule};
use crate::cli::exit::{Exit, Failure};
use crate::cli::trails::definition::member;
use crate::config::Config;
use crate::trails::archive::{Archive, Days};
use crate::trails::setting::members::{Form, Members};
use crate::trails::sink::discreet::Unsaid;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::kind::{ByUrl, SinkKind, Variable};
use crate::trails::sink::object::folder::Folder;
use crate::trails::sink::object::store::ObjectStore;
use crate::trails::sink::registry::{SINKS, by_scheme};

/// Where an archive is, and which of its days are meant.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// The folder of the trail: a path, file:///PATH, or s3://BUCKET/PREFIX/TRAIL; oss://, gs:// and azblob:// too.
    #[arg(value_name = "URL")]
    url: String,

    /// Events received from this day on (2026-11-22), UTC.
    #[arg(long, value_name = "DAY")]
    from: Option<String>,

    /// Events received before this day, UTC.
    #[arg(long, value_name = "DAY")]
    to: Option<String>,

    /// The store's URL; the vendor's by default.
    #[arg(long, value_name = "URL")]
    endpoint: Option<String>,

    /// The bucket's region.
    #[arg(long, value_name = "REGION")]
    region: Option<String>,

    /// Another member of the kind of sink (see `traild trail kinds`), such as path_style=true. May be there several times.
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
}

impl PlaceArgs {
    /// The archive.
    ///
    /// # Errors
    /// When the URL or the key cannot be used.
    pub fn archive(&self) -> Result<Archive, Failure> {
        let hands = Hands::new(&Schedule::of(&Config::default()));
        let folder = match self.url.split_once("://") {
            None => &self.url,
            Some(("file", path)) => path,
            Some((scheme, rest)) => return Ok(Archive::new(self.bucket(scheme, rest, &hands).map_err(Failure::usage)?)),
        };
        let path = PathBuf::from(folder);
        if !path.is_dir() {
            return Err(Failure::usage(format!("there is no folder {}", path.display())));
        }
        Ok(Archive::new(Box::new(Folder::new(path, &hands))))
    }

    fn bucket(&self, scheme: &str, rest: &str, hands: &Hands) -> Result<Box<dyn ObjectStore>, String> {
        let unknown = || format!("this traild can read no {scheme}://; it knows {}", schemes());
        let kind = by_scheme(scheme).ok_or_else(unknown)?;
        let url = kind.by_url.as_ref().ok_or_else(unknown)?;
        let members = self.members(kind, url, rest, &|name| std::env::var(name).ok())?;
        (url.store)(&Members::check(&members, kind.members, &[])?, hands)
    }

    /// What is said of a bucket, with what the environment says of the rest.
    fn members(
        &self,
        kind: &SinkKind,
        url: &ByUrl,
        rest: &str,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Map<String, Value>, String> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let mut members = Map::new();
        for pair in &self.set {
            let (name, value) = pair.split_once('=').ok_or_else(|| format!("`{pair}` must be NAME=VALUE"))?;
            members.insert(name.to_owned(), member(kind.name, name, value));
        }
        members.insert(url.bucket.to_owned(), bucket.into());
        let told = [("prefix", Some(prefix.to_owned())), ("endpoint", self.endpoint.clone()), ("region", self.region.clone())];
        for (name, text) in told {
            members.extend(text.filter(|text| !text.is_empty()).map(|text| (name.to_owned(), text.into())));
        }
        for (name, variable) in url.environment {
            let (Variable::Value(variable_name) | Variable::File(variable_name)) = variable;
            let known = kind.members.iter().find(|member| member.name == *name);
            let value = environment(variable_name).filter(|value| !value.is_empty());
            match (members.contains_key(*name), value, known) {
                (true, ..) | (_, _, None) => {}
                (false, None, Some(member)) if member.required => return Err(format!("set {variable_name} in the environment")),
                (false, None, Some(_)) => {}
                (false, Some(value), Some(known)) => {
                    let value = match (variable, known.form) {
                        (Variable::File(_), _) => json!({ "file": value }),
                        (Variable::Value(_), Form::Secret) => json!({ "env": variable_name }),
                        _ => value.into(),
                    };
                    members.insert((*name).to_owned(), value);
                }
            }
        }
        Ok(members)
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

/// The schemes that URLs may have.
fn schemes() -> String {
    let of_buckets = SINKS.iter().filter_map(|kind| Some(kind.by_url.as_ref()?.scheme));
    std::iter::once("file").chain(of_buckets).map(|scheme| format!("{scheme}://")).collect::<Vec<_>>().join(", ")
}

/// A runtime for a command.
///
/// # Errors
/// When the system gives no threads.
pub fn runtime() -> Result<Runtime, Failure> {
    Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(|e| Failure::usage(format!("cannot start: {e}")))
}

/// What a fault of a store is to a command, without tokens that the store repeats.
#[must_use]
pub fn failed(fault: Fault) -> Failure {
    Failure::new(Exit::Unreachable, Unsaid::default().hide(&fault.message))
}

#[cfg(all(test, feature = "object-stores"))]
mod tests {
    use super::*;

    #[expect(clippy::unwrap_used, reason = "a test fails by panicking, in its helpers too")]
    fn members(url: &str, set: &[&str], environment: &[(&str, &str)]) -> Result<Value, String> {
        let (scheme, rest) = url.split_once("://").unwrap();
        let kind = by_scheme(scheme).unwrap();
        let args = PlaceArgs {
            url: url.into(),
            from: None,
            to: None,
            endpoint: Some("http://h".into()),
            region: None,
            set: set.iter().map(|pair| (*pair).to_owned()).collect(),
        };
        let variable = |name: &str| environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned());
        let members = args.members(kind, kind.by_url.as_ref().unwrap(), rest, &variable)?;
        Members::check(&members, kind.members, &[])?;
        Ok(Value::Object(members))
    }

    #[test]
    fn the_url_flags_and_the_environment_make_a_bucket() {
        let aws =
            [("AWS_ACCESS_KEY_ID", "ak"), ("AWS_SECRET_ACCESS_KEY", "sk"), ("AWS_REGION", "eu-1"), ("AWS_ENDPOINT_URL_S3", "http://o")];
        let wanted = json!({"bucket": "b", "prefix": "a/t", "endpoint": "http://h", "region": "eu-1", "path_style": false,
            "access_key_id": {"env": "AWS_ACCESS_KEY_ID"}, "secret_access_key": {"env": "AWS_SECRET_ACCESS_KEY"}});
        assert_eq!(members("s3://b/a/t", &["path_style=false"], &aws).unwrap(), wanted);
        assert_eq!(members("s3://b/a/t", &[], &aws[..1]).unwrap_err(), "set AWS_SECRET_ACCESS_KEY in the environment");
        let google = [("GOOGLE_APPLICATION_CREDENTIALS", "/k.json")];
        let wanted = json!({"bucket": "b", "endpoint": "http://h", "credential": {"file": "/k.json"}});
        assert_eq!(members("gs://b", &[], &google).unwrap(), wanted);
        let azure = [("AZURE_STORAGE_ACCOUNT", "me"), ("AZURE_STORAGE_KEY", "c2s=")];
        let wanted = json!({"container": "c", "prefix": "t", "endpoint": "http://h", "account_name": "me", "account_key": {"env": "AZURE_STORAGE_KEY"}});
        assert_eq!(members("azblob://c/t", &[], &azure).unwrap(), wanted);
        let oss = [("OSS_ACCESS_KEY_ID", "ak"), ("OSS_ACCESS_KEY_SECRET", "sk")];
        assert_eq!(members("oss://b/t", &[], &oss).unwrap_err(), "set OSS_REGION in the environment");
        assert!(members("oss://b/t", &["region=cn-1"], &oss).is_ok());
        assert!(schemes().contains("gs://") && schemes().starts_with("file://"));
    }
}
