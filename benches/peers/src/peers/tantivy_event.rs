//! [`Event`]: the declared fields of an event, read straight from its text, so that a library that is given fields pays for no tree of JSON.

use std::borrow::Cow;

use serde::Deserialize;

/// What is indexed of an event.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Event<'e> {
    #[serde(borrow)]
    pub(crate) event_time: Cow<'e, str>,
    #[serde(borrow, default, rename = "eventID")]
    event_id: Cow<'e, str>,
    #[serde(borrow, default)]
    event_name: Cow<'e, str>,
    #[serde(borrow, default)]
    event_source: Cow<'e, str>,
    #[serde(borrow, default)]
    aws_region: Cow<'e, str>,
    #[serde(borrow, default, rename = "sourceIPAddress")]
    source_ip: Cow<'e, str>,
    error_code: Option<Cow<'e, str>>,
    read_only: Option<bool>,
    #[serde(borrow)]
    user_identity: Option<Identity<'e>>,
    #[serde(borrow)]
    request_parameters: Option<Parameters<'e>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Identity<'e> {
    #[serde(borrow, default)]
    user_name: Cow<'e, str>,
    #[serde(borrow, default)]
    principal_id: Cow<'e, str>,
    #[serde(borrow, default)]
    arn: Cow<'e, str>,
    #[serde(borrow, default)]
    account_id: Cow<'e, str>,
    #[serde(borrow, default)]
    access_key_id: Cow<'e, str>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Parameters<'e> {
    #[serde(borrow, default)]
    bucket_name: Cow<'e, str>,
}

impl Event<'_> {
    /// In the order of the declared columns; empty: the event has none.
    pub(crate) fn values(&self) -> [&str; 11] {
        let identity = self.user_identity.as_ref();
        [
            &self.event_id,
            &self.event_name,
            &self.event_source,
            &self.aws_region,
            identity.map_or("", Identity::user),
            self.read_only.map_or("", |flag| if flag { "true" } else { "false" }),
            self.request_parameters.as_ref().map_or("", |p| &p.bucket_name),
            identity.map_or("", |i| &i.account_id),
            &self.source_ip,
            identity.map_or("", |i| &i.access_key_id),
            self.error_code.as_deref().unwrap_or_default(),
        ]
    }
}

impl Identity<'_> {
    /// The user's name, else what a session is called.
    fn user(&self) -> &str {
        let after = |text: &'_ str, mark: char| text.rfind(mark).map(|at| at + 1).filter(|start| *start < text.len());
        if !self.user_name.is_empty() {
            return &self.user_name;
        }
        let candidates = [(&self.principal_id, ':'), (&self.arn, '/'), (&self.arn, ':')];
        candidates.iter().find_map(|(text, mark)| text.get(after(text, *mark)?..)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use trail_corpus::{Facts, real_ndjson};

    #[test]
    fn it_reads_what_the_plain_reader_reads() {
        let corpus = real_ndjson().unwrap();
        let mut events = 0;
        for line in corpus.split(|b| *b == b'\n').filter(|line| !line.is_empty()) {
            let (event, facts): (Event<'_>, _) = (serde_json::from_slice(line).unwrap(), Facts::read(line).unwrap());
            let expected = [facts.id, facts.event_name, facts.service, facts.region, facts.user, facts.read_only, facts.bucket];
            assert_eq!(event.values()[..7], expected.each_ref().map(String::as_str), "{}", String::from_utf8_lossy(line));
            events += 1;
        }
        assert!(events > 3_000);
    }
}
