//! [`Discreet`]: a sink that says nothing of its secrets, whatever a service says of them.
//!
//! Problem: what a service writes into an answer is shown to people and logged, and some services repeat what they were sent: a key in a header, a token in
//! a URL. Mechanism: it stands around the sink and takes out of every message whatever begins as a secret does, as far as it goes on so, since messages are cut
//! off. Secrets are looked for as they are, in base64, alone and behind the user's name; with them the signature of a token for a URL, and what stands behind the `?` of one. Tokens that
//! were fetched with a secret are in no definition: what stands behind `Bearer` and behind names such as `access_token` is taken out by its form. Limits: a secret of
//! fewer than eight bytes is not looked for, because it may be any word; nor is one that a service has written in another form.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use trail_engine::id::{Day, Timestamp};

use crate::trails::setting::members::{Form, Member, Members};
use crate::trails::sink::batch::Batch;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::seam::{Delivered, Feed, Mark, Refusal, Sealed, Sink, Work};

/// What stands in place of a secret.
const HIDDEN: &str = "(hidden)";
/// The shortest secret that is looked for, in bytes.
const BYTES_MIN: usize = 8;
/// So many characters of a secret tell that it is there.
const BEGINNING: usize = 12;

/// What stands before a token, in lower case.
const TOKENS: [&str; 7] = ["bearer", "access_token", "refresh_token", "id_token", "client_secret", "assertion", "accesstoken"];
/// The shortest token, in bytes: longer than the words that follow these.
const TOKEN_MIN: usize = 16;

/// What must not be said.
#[derive(Clone, Default)]
pub struct Unsaid(Vec<String>);

/// Without the secrets.
impl std::fmt::Debug for Unsaid {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Unsaid({})", self.0.len())
    }
}

impl Unsaid {
    /// The secrets of a sink's members, of those that it can have. One that cannot be read now is none.
    #[must_use]
    pub fn of(members: &Members<'_>, known: &[Member]) -> Unsaid {
        let mut unsaid = Vec::new();
        let user = members.text("user").unwrap_or_default();
        for member in known {
            match member.form {
                Form::Secret => {
                    if let Ok(Some(secret)) = members.secret(member.name) {
                        unsaid.push(STANDARD.encode(format!("{user}:{secret}")));
                        unsaid.extend(signature_of(&secret));
                        unsaid.push(secret);
                    }
                }
                Form::Text => unsaid.extend(members.text(member.name).map(behind_url).unwrap_or_default()),
                Form::Texts => unsaid.extend(members.texts(member.name).unwrap_or_default().into_iter().map(|(_, text)| text)),
                _ => {}
            }
        }
        let plain = unsaid.clone();
        unsaid.extend(plain.iter().map(|secret| STANDARD.encode(secret)));
        unsaid.retain(|secret| secret.len() >= BYTES_MIN);
        Unsaid(unsaid)
    }

    /// A message without them, and without tokens.
    #[must_use]
    pub fn hide(&self, message: &str) -> String {
        without_tokens(&self.hide_known(message))
    }

    fn hide_known(&self, message: &str) -> String {
        let (mut out, mut rest) = (String::new(), message);
        loop {
            let first = self.0.iter().filter_map(|secret| rest.find(beginning(secret))).min();
            let Some((before, behind)) = first.and_then(|at| rest.split_at_checked(at)) else { return out + rest };
            // Several may begin in the same way.
            let length = self.0.iter().map(|secret| shared(behind, secret)).max().unwrap_or_default();
            out.push_str(before);
            out.push_str(HIDDEN);
            rest = behind.get(length..).unwrap_or_default();
        }
    }
}

/// The signature in a token that goes into a URL, which services show decoded and not.
fn signature_of(token: &str) -> Vec<String> {
    let signature = token.split(['&', '?']).find_map(|part| part.strip_prefix("sig="));
    let decoded = |text: &str| percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned();
    signature.map(|text| vec![text.to_owned(), decoded(text)]).unwrap_or_default()
}

/// What stands behind the `?` of a URL, whole and in parts.
fn behind_url(text: &str) -> Vec<String> {
    let Some((_, query)) = text.split_once('?').filter(|(place, _)| place.contains("://")) else { return Vec::new() };
    let values = query.split('&').filter_map(|part| part.split_once('=')).map(|(_, value)| value.to_owned());
    std::iter::once(query.to_owned()).chain(values).collect()
}

/// What tells that a secret is there.
fn beginning(secret: &str) -> &str {
    let end = secret.char_indices().nth(BEGINNING).map_or(secret.len(), |(at, _)| at);
    secret.get(..end).unwrap_or(secret)
}

/// How many bytes of a text are the beginning of a secret.
fn shared(text: &str, secret: &str) -> usize {
    text.chars().zip(secret.chars()).take_while(|(a, b)| a == b).map(|(a, _)| a.len_utf8()).sum()
}

/// A message without what is a token by the words before it.
fn without_tokens(message: &str) -> String {
    let (mut out, mut rest) = (String::new(), message);
    loop {
        let lower = rest.to_ascii_lowercase();
        let first = TOKENS.iter().filter_map(|name| lower.find(name).map(|at| at + name.len())).min();
        let Some((before, behind)) = first.and_then(|at| rest.split_at_checked(at)) else { return out + rest };
        let token = behind.trim_start_matches(|c: char| " \t:=\"'\\".contains(c));
        let (gap, length) = (behind.len() - token.len(), token.bytes().take_while(|byte| is_of_token(*byte)).count());
        out.push_str(before);
        // A word that follows is not one; the beginning of one that was cut off is.
        if gap > 0 && (length >= TOKEN_MIN || length == token.len() && length > 0) {
            out.push_str(behind.get(..gap).unwrap_or_default());
            out.push_str(HIDDEN);
            rest = token.get(length..).unwrap_or_default();
        } else {
            rest = behind;
        }
    }
}

/// The bytes that tokens are made of (RFC 6750), and the percent sign of URLs.
fn is_of_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=%".contains(&byte)
}

/// A sink, and what it must not say.
#[derive(Debug)]
pub struct Discreet {
    sink: Box<dyn Sink>,
    unsaid: Unsaid,
}

impl Discreet {
    /// Stands around a sink.
    #[must_use]
    pub fn new(sink: Box<dyn Sink>, unsaid: Unsaid) -> Discreet {
        Discreet { sink, unsaid }
    }

    fn fault(&self, fault: Fault) -> Fault {
        Fault { message: self.unsaid.hide(&fault.message), ..fault }
    }

    fn work<'a, T: Send + 'a>(&'a self, work: Work<'a, T>) -> Work<'a, T> {
        Box::pin(async move { work.await.map_err(|fault| self.fault(fault)) })
    }

    fn delivery<'a>(&'a self, work: Work<'a, Delivered>) -> Work<'a, Delivered> {
        let told = |refusal: Refusal| Refusal { reason: self.unsaid.hide(&refusal.reason), ..refusal };
        Box::pin(async move {
            let delivered = work.await.map_err(|fault| self.fault(fault))?;
            Ok(Delivered { refused: delivered.refused.into_iter().map(told).collect(), ..delivered })
        })
    }
}

impl Sink for Discreet {
    fn feed(&self) -> Feed {
        self.sink.feed()
    }

    fn names_batches(&self) -> bool {
        self.sink.names_batches()
    }

    fn deliver<'a>(&'a self, batch: &'a Batch) -> Work<'a, Delivered> {
        self.delivery(self.sink.deliver(batch))
    }

    fn deliver_segments<'a>(&'a self, segments: &'a [Sealed]) -> Work<'a, Delivered> {
        self.delivery(self.sink.deliver_segments(segments))
    }

    fn probe(&self) -> Work<'_, ()> {
        self.work(self.sink.probe())
    }

    fn mark<'a>(&'a self, trail: &'a str, since: Option<Day>) -> Work<'a, Option<Mark>> {
        self.work(self.sink.mark(trail, since))
    }

    fn upkeep(&self, now: Timestamp) -> Work<'_, Delivered> {
        self.delivery(self.sink.upkeep(now))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    const KNOWN: &[Member] = &[
        Member::new("user", Form::Text, "who"),
        Member::new("password", Form::Secret, "of the user"),
        Member::new("token", Form::Secret, "for a URL"),
        Member::new("headers", Form::Texts, "sent with each request"),
        Member::new("url", Form::Text, "where"),
    ];

    fn unsaid(value: &Value) -> Unsaid {
        Unsaid::of(&Members::check(value.as_object().unwrap(), KNOWN, &[]).unwrap(), KNOWN)
    }

    #[test]
    fn a_secret_is_hidden_in_every_form_and_also_where_it_is_cut_off() {
        let sink = json!({"user": "audit", "password": "correct horse battery", "token": "sv=1&sig=aGVsbG8%2Bd29ybGQ%3D", "headers": {"X": "header-secret", "Y": "header-secret-of-y"}, "url": "https://h/in?key=behind-the-url"});
        let unsaid = unsaid(&sink);
        let basic = STANDARD.encode("audit:correct horse battery");
        for said in [
            "no user with `correct horse battery`".to_owned(),
            "no user with `correct horse bat".to_owned(),
            format!("you sent Basic {basic} and header-secret"),
            "you sent ?sv=1&sig=aGVsbG8%2Bd29ybGQ%3D".to_owned(),
            "the signature aGVsbG8+d29ybGQ= is wrong".to_owned(),
            "twice: header-secret header-secret".to_owned(),
            "longer: header-secret-of-y".to_owned(),
            "POST /in?key=behind-the-url, behind-the-url".to_owned(),
        ] {
            let told = unsaid.hide(&said);
            assert!(told.contains(HIDDEN), "{told}");
            for secret in ["correct h", basic.get(..12).unwrap(), "header-s", "of-y", "aGVsbG8", "behind-the"] {
                assert!(!told.contains(secret), "{told}");
            }
        }
        assert_eq!(unsaid.hide("the user audit is correct"), "the user audit is correct");
        assert!(!format!("{unsaid:?}").contains("horse"));
    }

    #[test]
    fn a_token_that_was_fetched_is_hidden_by_its_form() {
        const TOKEN: &str = "ya29.c.b0AXv0zTO-_x/4w==";
        for (said, told) in [
            (format!("you said authorization: Bearer {TOKEN}; host: h"), "you said authorization: Bearer (hidden); host: h"),
            (format!("{{\"access_token\":\"{TOKEN}\",\"expires_in\":3599}}"), "{\"access_token\":\"(hidden)\",\"expires_in\":3599}"),
            (format!("\\\"Refresh_Token\\\": \\\"{TOKEN}\\\""), "\\\"Refresh_Token\\\": \\\"(hidden)\\\""),
            (format!("GET /o?access_token={TOKEN}&alt=media"), "GET /o?access_token=(hidden)&alt=media"),
            (format!("grant_type=jwt-bearer&assertion={TOKEN}"), "grant_type=jwt-bearer&assertion=(hidden)"),
            (format!("BEARER {TOKEN} and Bearer {TOKEN}"), "BEARER (hidden) and Bearer (hidden)"),
            ("you sent Bearer ya29".to_owned(), "you sent Bearer (hidden)"),
        ] {
            assert_eq!(Unsaid::default().hide(&said), told);
        }
        for said in
            ["Bearer authentication is needed", "the access_token is missing or old", "no bearer", "bearer: ", "id_tokens are no events"]
        {
            assert_eq!(Unsaid::default().hide(said), said);
        }
    }

    #[test]
    fn a_short_secret_changes_no_words() {
        assert_eq!(unsaid(&json!({"password": "disk", "headers": {"X": "full"}})).hide("the disk is full"), "the disk is full");
    }
}
