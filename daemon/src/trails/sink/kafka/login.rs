//! [`Login`]: who we are to a broker, and how we show it (SASL).

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::trails::setting::members::Members;
use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::verdict::clip;
use crate::trails::sink::kafka::codes::said;
use crate::trails::sink::kafka::messages::{
    SASL_AUTHENTICATE, SASL_HANDSHAKE, read_authenticated, read_handshake, sasl_authenticate, sasl_handshake,
};
use crate::trails::sink::kafka::scram::{self, Sum};
use crate::trails::sink::kafka::session::Session;

/// The words of the member `sasl`.
pub const WORDS: &[&str] = &["plain", "scram-sha-256", "scram-sha-512"];

/// Who we are.
#[derive(Clone, PartialEq, Eq)]
pub struct Login {
    /// Challenge and answer with this sum; `None` tells the password.
    sum: Option<Sum>,
    user: String,
    password: String,
}

/// Without what is secret.
impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login")
    }
}

impl Login {
    /// Reads the members `sasl`, `user` and `password`; `None` when there is none of them.
    ///
    /// # Errors
    /// A sentence when one is missing, or the password cannot be read.
    pub fn read(members: &Members<'_>) -> Result<Option<Login>, String> {
        let sum = match members.text("sasl") {
            Some("scram-sha-256") => Some(Sum::Sha256),
            Some("scram-sha-512") => Some(Sum::Sha512),
            _ => None,
        };
        match (members.text("sasl"), members.text("user"), members.secret("password")?) {
            (None, None, None) => Ok(None),
            (Some(_), Some(user), Some(password)) => Ok(Some(Login { sum, user: user.to_owned(), password })),
            _ => Err("`sasl`, `user` and `password` go together".into()),
        }
    }

    fn mechanism(&self) -> &'static str {
        match self.sum {
            None => "PLAIN",
            Some(Sum::Sha256) => "SCRAM-SHA-256",
            Some(Sum::Sha512) => "SCRAM-SHA-512",
        }
    }

    /// Logs in.
    ///
    /// # Errors
    /// When the broker does not know the login, or does not show that it knows the password where it must.
    pub async fn enter(&self, session: &mut Session) -> Result<(), Fault> {
        let answer = session.ask(SASL_HANDSHAKE, &sasl_handshake(self.mechanism())).await?;
        let (code, known) = read_handshake(&answer).ok_or_else(|| session.strange(SASL_HANDSHAKE))?;
        if let Some(mut fault) = said(code, session.place(), "").fault() {
            fault.message = format!("{}; it knows {}", fault.message, clip(&known.join(", ")));
            return Err(fault);
        }
        let Some(sum) = self.sum else {
            let told = format!("\0{}\0{}", self.user, self.password);
            return self.step(session, told.as_bytes()).await.map(drop);
        };
        let mut random = [0; 18];
        getrandom::fill(&mut random).map_err(|e| Fault::later(format!("no random number: {e}")))?;
        let nonce = URL_SAFE_NO_PAD.encode(random);
        let first = scram::first(&self.user, &nonce);
        let answered = self.step(session, format!("n,,{first}").as_bytes()).await?;
        let wrong = |why: String| Fault::setup(format!("{} does not log in as SCRAM says: {why}", session.place()));
        let (last, expected) = scram::last(sum, &self.password, &first, &nonce, &answered).map_err(wrong)?;
        let ended = self.step(session, last.as_bytes()).await?;
        if let Some(why) = ended.strip_prefix("e=") {
            return Err(Fault::setup(format!("{} does not let us in: {}; mend `user` or `password`", session.place(), clip(why))));
        }
        if ended.split(',').next() != Some(&expected) {
            return Err(Fault::setup(format!("{} does not know the password of the user: it is not who it should be", session.place())));
        }
        Ok(())
    }

    async fn step(&self, session: &mut Session, bytes: &[u8]) -> Result<String, Fault> {
        let answer = session.ask(SASL_AUTHENTICATE, &sasl_authenticate(bytes)).await?;
        let (code, words, bytes) = read_authenticated(&answer).ok_or_else(|| session.strange(SASL_AUTHENTICATE))?;
        if let Some(mut fault) = said(code, session.place(), "").fault() {
            let words = clip(&words);
            if !words.is_empty() {
                fault.message = format!("{}; it says: {words}", fault.message);
            }
            return Err(fault);
        }
        String::from_utf8(bytes).map_err(|_| session.strange(SASL_AUTHENTICATE))
    }
}
