//! A [`Life`] in a folder: what a failed cut leaves, so that it can be cut again at the same place.
//!
//! Beside `base.img` and the log of requests there is `life.json`, the ledger.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::ledger::Batch;
use crate::life::Life;
use crate::old_day::OldDay;
use crate::power::{Recording, copy};
use crate::recorder::log_of;

const LEDGER: &str = "life.json";

fn of_batch(batch: &Batch) -> Value {
    let events: Vec<_> = batch.events.iter().map(|event| String::from_utf8_lossy(event)).collect();
    json!({ "ids": batch.ids, "events": events })
}

fn batch(json: &Value) -> Option<Batch> {
    let texts = |name: &str| json[name].as_array()?.iter().map(|text| Some(text.as_str()?.to_owned())).collect::<Option<Vec<String>>>();
    Some(Batch::new(texts("ids")?, texts("events")?.into_iter().map(String::into_bytes).collect()))
}

fn batches(json: &Value) -> Option<Vec<Batch>> {
    json.as_array()?.iter().map(batch).collect()
}

/// Keeps a life in a folder that may be there already.
///
/// # Errors
/// Why it cannot be kept.
pub fn keep(life: &Life, folder: &Path) -> Result<(), String> {
    fs::create_dir_all(folder).map_err(|e| e.to_string())?;
    copy(&life.folder.join("base.img"), &folder.join("base.img"))?;
    copy(&log_of(&life.folder), &log_of(folder))?;
    let promised: Vec<Value> = life.promised.iter().map(|(requests, batch)| json!([requests, of_batch(batch)])).collect();
    let list = |batches: &[Batch]| batches.iter().map(of_batch).collect::<Vec<_>>();
    let json = json!({
        "settings": life.settings,
        "promised": promised,
        "open": list(&life.open),
        "old": list(life.old.batches()),
        "old_files": life.old.files(),
        "old_until": life.old_until,
    });
    fs::write(folder.join(LEDGER), json.to_string()).map_err(|e| e.to_string())
}

/// A life that was kept.
///
/// # Errors
/// When there is none.
pub fn kept(folder: &Path) -> Result<Life, String> {
    let text = fs::read_to_string(folder.join(LEDGER)).map_err(|e| format!("{}: {e}", folder.display()))?;
    let json: Value = serde_json::from_str(&text).map_err(|e| e.to_string())?;
    let read = || {
        let promise = |json: &Value| Some((usize::try_from(json[0].as_u64()?).ok()?, batch(&json[1])?));
        let promised = json["promised"].as_array()?.iter().map(promise).collect::<Option<Vec<_>>>()?;
        let files = json["old_files"].as_array()?.iter().map(|name| Some(name.as_str()?.into())).collect::<Option<Vec<_>>>()?;
        let settings = json["settings"].as_array()?.iter().map(|pair| Some((pair[0].as_str()?.into(), pair[1].as_str()?.into())));
        Some((promised, batches(&json["open"])?, OldDay::of(batches(&json["old"])?, files), settings.collect::<Option<Vec<_>>>()?))
    };
    let old_until = json["old_until"].as_u64().and_then(|requests| usize::try_from(requests).ok()).unwrap_or(0);
    let (promised, open, old, settings) = read().ok_or_else(|| format!("{}: no life", folder.display()))?;
    let recording = Recording::read(&log_of(folder)).map_err(|e| e.to_string())?;
    Ok(Life { folder: folder.to_owned(), recording, settings, old, old_until, promised, open })
}
