//! [`Rsyslog`]: Debian's rsyslog on loopback, over TCP or TLS, which writes what it reads into a file of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::binary::root;
use crate::moto::free_address;
use crate::table::wait_for;

/// A receiver of syslog; killed when dropped.
#[derive(Debug)]
pub struct Rsyslog {
    child: Option<Child>,
    folder: PathBuf,
    /// Where it listens.
    pub address: SocketAddr,
}

/// Why there is none here.
#[must_use]
pub fn obstacle() -> Option<String> {
    let there = Command::new("rsyslogd").arg("-v").stdout(Stdio::null()).status().is_ok();
    let tls = ["/usr/lib/x86_64-linux-gnu/rsyslog", "/usr/lib/aarch64-linux-gnu/rsyslog", "/usr/lib/rsyslog"];
    let tls = tls.iter().any(|folder| Path::new(folder).join("lmnsd_gtls.so").exists());
    (!there || !tls).then(|| "rsyslog or rsyslog-gnutls is not there".to_owned())
}

impl Rsyslog {
    /// One that keeps its files in a folder.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(folder: &Path, tls: bool) -> Rsyslog {
        let address = free_address();
        let fixture = |name: &str| root().join("tests/fixtures/tls").join(name).display().to_string();
        let (driver, module) = match tls {
            true => (
                format!(
                    "defaultNetstreamDriver=\"gtls\" defaultNetstreamDriverCAFile=\"{}\" defaultNetstreamDriverCertFile=\"{}\" \
                     defaultNetstreamDriverKeyFile=\"{}\"",
                    fixture("ca.pem"),
                    fixture("leaf.pem"),
                    fixture("leaf.key")
                ),
                "streamDriver.mode=\"1\" streamDriver.authMode=\"anon\"",
            ),
            false => (String::new(), ""),
        };
        let settings = format!(
            "global(maxMessageSize=\"1m\" workDirectory=\"{0}\" {driver})\n\
             module(load=\"imtcp\" {module})\n\
             template(name=\"line\" type=\"string\" string=\"%hostname% %app-name% %pri% %structured-data%%msg%\\n\")\n\
             input(type=\"imtcp\" address=\"127.0.0.1\" port=\"{1}\" ruleset=\"all\")\n\
             ruleset(name=\"all\") {{ action(type=\"omfile\" file=\"{0}/messages\" template=\"line\") }}\n",
            folder.display(),
            address.port()
        );
        fs::write(folder.join("rsyslog.conf"), settings).unwrap();
        let mut rsyslog = Rsyslog { child: None, folder: folder.to_owned(), address };
        rsyslog.start_again();
        rsyslog
    }

    /// Starts it again, at the same address.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_again(&mut self) {
        let mut command = Command::new("rsyslogd");
        command.arg("-n").arg("-f").arg(self.folder.join("rsyslog.conf")).arg("-i").arg(self.folder.join("pid"));
        let log = fs::File::create(self.folder.join("log")).unwrap();
        self.child = Some(command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap());
        wait_for("rsyslogd", || TcpStream::connect(self.address).is_ok());
    }

    /// Lets it end, as an operator would.
    ///
    /// # Panics
    /// When it cannot be told.
    pub fn stop(&mut self) {
        let mut child = self.child.take().unwrap();
        let status = Command::new("sh").args(["-c", &format!("kill -TERM {}", child.id())]).status().unwrap();
        assert!(status.success());
        child.wait().unwrap();
    }

    /// The lines that it wrote: sender, program, priority, structured data, message.
    ///
    /// # Panics
    /// When they are no text.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let text = fs::read(self.folder.join("messages")).unwrap_or_default();
        String::from_utf8(text).unwrap().lines().map(str::to_owned).collect()
    }
}

impl Drop for Rsyslog {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}
