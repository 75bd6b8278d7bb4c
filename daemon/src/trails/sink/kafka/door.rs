//! [`Access`]: how brokers are reached, and what it takes to be let in.

use tokio::time::timeout;

use crate::trails::sink::fault::Fault;
use crate::trails::sink::http::connection::CONNECT_MAX;
use crate::trails::sink::http::tls::Trust;
use crate::trails::sink::kafka::login::Login;
use crate::trails::sink::kafka::messages::{SASL_AUTHENTICATE, SASL_HANDSHAKE};
use crate::trails::sink::kafka::session::Session;

/// How brokers are reached.
#[derive(Debug, Clone)]
pub struct Access {
    /// Whom to believe over TLS; `None` speaks plainly.
    pub trust: Option<Trust>,
    /// Who we are; `None` for nobody in particular.
    pub login: Option<Login>,
}

impl Access {
    /// A connection with a broker that has let us in.
    ///
    /// # Errors
    /// When it is not there, is none, is too old, or does not let us in within [`CONNECT_MAX`].
    pub async fn open(&self, host: &str, port: u16) -> Result<Session, Fault> {
        let Some(login) = &self.login else { return Session::open(host, port, self.trust.as_ref(), &[]).await };
        let mut session = Session::open(host, port, self.trust.as_ref(), &[SASL_HANDSHAKE, SASL_AUTHENTICATE]).await?;
        let late = Fault::later(format!("{} did not let us in within {} s", session.place(), CONNECT_MAX.as_secs()));
        timeout(CONNECT_MAX, login.enter(&mut session)).await.unwrap_or(Err(late))?;
        Ok(session)
    }
}
