//! The course of a run: a server is found or started, loaded, asked what it used, stopped.

use trail_rig::{Process, Result, Server};

use crate::arguments::Arguments;
use crate::drive::Drive;
use crate::progress::Progress;
use crate::report::Report;

/// Runs and prints; whether every event was accepted.
///
/// # Errors
/// When the server cannot be started, reached or stopped.
pub(crate) fn run(arguments: &Arguments) -> Result<bool> {
    let report = measure(arguments)?;
    if arguments.json {
        println!("{}", report.json());
    } else {
        print!("{}", report.text());
    }
    Ok(report.is_good())
}

fn measure(arguments: &Arguments) -> Result<Report> {
    let mut target = arguments.protocol.path().to_owned();
    let (server, host) = match (&arguments.url, &arguments.serve, &arguments.data) {
        (Some(url), ..) => {
            if !url.target.is_empty() {
                target.clone_from(&url.target);
            }
            (Server::running(url.address()?), url.host.clone())
        }
        (None, Some(binary), Some(data)) => {
            let server = Server::start(binary, data, &arguments.settings)?;
            let host = server.address().to_string();
            (server, host)
        }
        _ => return Err("no server".into()),
    };
    let process = server.process().or_else(|| arguments.pid.map(Process::of));
    let drive = Drive::new(arguments, server.address(), &host, &target)?;
    let mut progress = Progress::new(process);
    let driven = drive.run(&mut progress)?;
    let (own_cpu, server_cpu) = progress.used();
    let mut report = Report {
        driven,
        own_cpu,
        own_memory_peak: Process::this().peak_memory(),
        server_cpu,
        server_cpu_ended: None,
        server_memory: process.and_then(Process::memory),
        server_memory_peak: process.and_then(Process::peak_memory),
    };
    if arguments.serve.is_some() {
        report.server_cpu_ended = progress.server_used(server.stop()?);
    }
    Ok(report)
}
