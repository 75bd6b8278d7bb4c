//! [`Trust`]: whom a sink believes over TLS.
//!
//! The roots are Mozilla's, compiled in, or those of one PEM file instead, for a service with a certificate of one's own. The provider is
//! ring, which the command line's client uses as well. Limits: no client certificates; a file is read when the sink is made.

use std::sync::Arc;

use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::trails::sink::fault::Fault;

/// Whom a sink believes.
#[derive(Clone)]
pub struct Trust(TlsConnector);

impl Trust {
    /// Believes those whom the roots vouch for: of a PEM file, or else Mozilla's.
    ///
    /// # Errors
    /// A sentence when the file cannot be read or has no certificate in it.
    pub fn new(ca_file: Option<&str>) -> Result<Trust, String> {
        let mut roots = RootCertStore::empty();
        match ca_file {
            None => roots.extend(webpki_roots::TLS_SERVER_ROOTS.iter().cloned()),
            Some(path) => {
                let wrong = |e: &dyn std::fmt::Display| format!("`ca_file`: {path} cannot be used: {e}");
                for certificate in CertificateDer::pem_file_iter(path).map_err(|e| wrong(&e))? {
                    roots.add(certificate.map_err(|e| wrong(&e))?).map_err(|e| wrong(&e))?;
                }
                if roots.is_empty() {
                    return Err(wrong(&"it has no certificate in it"));
                }
            }
        }
        let versions = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let config = versions.map_err(|e| format!("TLS cannot be set up: {e}"))?.with_root_certificates(roots).with_no_client_auth();
        Ok(Trust(TlsConnector::from(Arc::new(config))))
    }

    /// Speaks TLS over a connection with a host, whose certificate must name it.
    ///
    /// # Errors
    /// What the other side cannot show is for an operator, the rest for later.
    pub async fn wrap(&self, host: &str, stream: TcpStream) -> Result<TlsStream<TcpStream>, Fault> {
        let name = ServerName::try_from(host.to_owned()).map_err(|e| Fault::setup(format!("{host} is no name for TLS: {e}")))?;
        self.0.connect(name, stream).await.map_err(|e| match e.get_ref().is_some_and(|inner| inner.is::<tokio_rustls::rustls::Error>()) {
            true => Fault::setup(format!(
                "no TLS with {host}: {e}; its certificate must name it and come from a known authority (`ca_file`), and it must speak TLS"
            )),
            false => Fault::later(format!("no TLS with {host}: {e}")),
        })
    }
}

impl std::fmt::Debug for Trust {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Trust")
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::ServerConfig;
    use tokio_rustls::rustls::pki_types::PrivateKeyDer;

    use super::*;
    use crate::trails::sink::fault::FaultKind;

    /// An authority and a certificate of it for `localhost`, which end in a hundred years.
    const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fixtures/tls");

    fn acceptor() -> TlsAcceptor {
        let certificates = CertificateDer::pem_file_iter(format!("{FIXTURES}/leaf.pem")).unwrap().map(Result::unwrap).collect();
        let key = PrivateKeyDer::from_pem_file(format!("{FIXTURES}/leaf.key")).unwrap();
        let versions = ServerConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        TlsAcceptor::from(Arc::new(versions.unwrap().with_no_client_auth().with_single_cert(certificates, key).unwrap()))
    }

    #[tokio::test]
    async fn only_a_certificate_for_the_name_by_a_trusted_authority_is_believed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let accepted = acceptor().accept(stream).await;
                if let Ok(mut stream) = accepted {
                    stream.write_all(b"welcome").await.unwrap();
                    stream.flush().await.unwrap();
                }
            }
        });
        let own = Trust::new(Some(&format!("{FIXTURES}/ca.pem"))).unwrap();
        let public = Trust::new(None).unwrap();
        let connect = || async { TcpStream::connect(address).await.unwrap() };
        let mut stream = own.wrap("localhost", connect().await).await.unwrap();
        let mut said = [0; 7];
        stream.read_exact(&mut said).await.unwrap();
        assert_eq!(&said, b"welcome");
        for (trust, host) in [(&own, "example.com"), (&own, "127.0.0.1"), (&public, "localhost")] {
            let fault = trust.wrap(host, connect().await).await.unwrap_err();
            assert!(fault.kind == FaultKind::Setup && fault.message.contains("its certificate must name it"), "{host}: {fault}");
        }
    }

    #[test]
    fn a_file_of_roots_must_have_one() {
        assert!(Trust::new(None).is_ok());
        assert!(Trust::new(Some("/nowhere/roots.pem")).unwrap_err().contains("/nowhere/roots.pem"));
        let mut file = tempfile::NamedTempFile::new().unwrap();
        assert!(Trust::new(file.path().to_str()).unwrap_err().contains("no certificate"));
        file.write_all(b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n").unwrap();
        assert!(Trust::new(file.path().to_str()).unwrap_err().contains("cannot be used"));
    }
}
