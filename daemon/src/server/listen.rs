//! [`Server`]: binds, opens the log, accepts connections, drains, closes the log.
//!
//! The port is bound before the log is opened, so that a second server fails before it touches anything. While the log is opened, which
//! may take a while after a crash, connections are accepted already: `/healthz` is answered, everything else is told to wait. At the signal to stop the port
//! is closed, endless answers end, open requests get `drain_timeout`, then the log is closed: what was acknowledged is durable anyway,
//! closing makes the next start fast.

use std::convert::Infallible;
use std::fmt;
use std::future::Future;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use trail_engine::error::{Error, ErrorKind};
use trail_engine::event::DimensionSchema;

use crate::api::context::Context;
use crate::api::route::RequestBody;
use crate::api::{cloudtrail, native, openapi};
use crate::backend::Backend;
use crate::config::Config;
use crate::metrics::Metrics;
use crate::server::auth::Auth;
use crate::server::connection::{Farewell, Patience, Timed, Working, WorkingBody};
use crate::server::descriptors;
use crate::server::front::{Front, Store};
use crate::server::heads::Heads;
use crate::server::observe::{Observer, RequestIds, unread};
use crate::server::router::{RouteHead, router};
use crate::trails::roster::all::Trails;

/// What hyper may hold of a connection at least: enough for a body to be read in large pieces.
const BUFFER_BYTES_MIN: usize = 64 << 10;
const ACCEPT_PAUSE_MIN: Duration = Duration::from_millis(10);
const ACCEPT_PAUSE_MAX: Duration = Duration::from_secs(1);

/// Why the server could not run.
#[derive(Debug)]
pub enum ServeError {
    /// The settings do not make sense; one sentence a problem.
    Config(Vec<String>),
    /// The address cannot be listened on.
    Bind(SocketAddr, io::Error),
    /// The log cannot be opened.
    Open(Error),
    /// The log could not be closed well; what was acknowledged is durable nevertheless.
    Close(Error),
}

impl fmt::Display for ServeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ServeError::Config(problems) => write!(f, "the configuration is wrong: {}", problems.join("; ")),
            ServeError::Bind(address, e) => write!(f, "cannot listen on {address}: {e}"),
            ServeError::Open(e) => {
                let cause = std::error::Error::source(e).map(|cause| format!(": {cause}")).unwrap_or_default();
                write!(f, "cannot open the log: {e}{cause}")
            }
            ServeError::Close(e) => write!(f, "cannot close the log: {e}"),
        }
    }
}

impl std::error::Error for ServeError {}

/// Runs a server until `shutdown` is ready: opens the log, prints `listening on http://ADDR` to stdout, serves, drains, closes the log.
///
/// Must be called in a tokio runtime with time and I/O enabled.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
    let server = Server::open(config).await?;
    announce(server.address());
    server.run(shutdown).await
}

fn announce(address: SocketAddr) {
    let mut out = io::stdout().lock();
    // Whoever closed our stdout does not want the line.
    let _ = writeln!(out, "listening on http://{address}").and_then(|()| out.flush());
}

/// A server whose port is bound and whose log is open.
#[derive(Debug)]
pub struct Server {
    door: Door,
    address: SocketAddr,
    context: Arc<Context>,
    stop: watch::Sender<bool>,
}

/// Where connections come in.
struct Door {
    listener: TcpListener,
    hall: Arc<Hall>,
    graceful: GracefulShutdown,
    connections: JoinSet<()>,
}

impl fmt::Debug for Door {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Door").field("listener", &self.listener).finish_non_exhaustive()
    }
}

/// What every connection shares.
struct Hall {
    config: Arc<Config>,
    metrics: Metrics,
    ids: Arc<RequestIds>,
    places: Arc<Semaphore>,
    /// Answers until the log is open.
    opening: Front,
    /// Answers from then on, on every connection.
    open: OnceLock<Front>,
}

impl Hall {
    fn front(&self) -> &Front {
        self.open.get().unwrap_or(&self.opening)
    }
}

impl Server {
    /// Checks the settings, binds the port and opens the log.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn open(config: Config) -> Result<Server, ServeError> {
        let problems = config.problems();
        if !problems.is_empty() {
            return Err(ServeError::Config(problems));
        }
        let mut options = config.engine_options().map_err(ServeError::Open)?;
        // Trails say what is held; before they are read, nothing may go.
        options.expiry_waits = !options.read_only;
        let schema = options.schema.clone();
        let unbound = |e| ServeError::Bind(config.listen, e);
        let listener = TcpListener::bind(config.listen).await.map_err(unbound)?;
        let address = listener.local_addr().map_err(unbound)?;
        let config = Arc::new(config);
        let metrics = Metrics::new();
        let ids = Arc::new(RequestIds::new());
        let auth = Arc::new(Auth::new(&config.keys, config.auth_failures_per_minute));
        let observer = || Observer::new(metrics.clone(), config.header_bytes_max, !auth.has_keys(), ids.clone());
        let routes = native::routes();
        let opening = routes.iter().map(|route| (RouteHead::of(route), native::while_opening(route))).collect();
        let hall = Arc::new(Hall {
            config: config.clone(),
            metrics: metrics.clone(),
            ids: ids.clone(),
            places: Arc::new(Semaphore::new(descriptors::places(config.connections_max).clamp(1, Semaphore::MAX_PERMITS))),
            opening: Front::new(observer(), router(opening, (), &auth, &metrics), None),
            open: OnceLock::new(),
        });
        let mut door = Door { listener, hall, graceful: GracefulShutdown::new(), connections: JoinSet::new() };
        let backend = tokio::select! {
            backend = Backend::open(config.data_dir.clone(), options, &config) => backend.map_err(ServeError::Open)?,
            () = door.accept_all() => return Err(unaccepted()),
        };
        let trails = match config.engine.read_only {
            true => None,
            false => Some(open_trails(&backend, &metrics, &config, schema).await.map_err(ServeError::Open)?),
        };
        let (stop, stopping) = watch::channel(false);
        let openapi = Bytes::from(openapi::document(&routes).to_string());
        let context = Arc::new(Context { backend, trails, config: config.clone(), metrics: metrics.clone(), openapi, stopping });
        let store = routes
            .iter()
            .find(|route| route.body == RequestBody::Events)
            .map(|route| Store { gate: Arc::new(RouteHead::of(route).gate(&auth, &metrics)), context: context.clone() });
        let routes = routes.into_iter().chain(cloudtrail::routes());
        let rows = routes.map(|route| (RouteHead::of(&route), route.handler)).collect();
        // Nobody else sets it.
        let _ = door.hall.open.set(Front::new(observer(), router(rows, context.clone(), &auth, &metrics), store));
        Ok(Server { door, address, context, stop })
    }

    /// Where it listens; the real port when the settings say 0.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `shutdown` is ready, then drains and closes the log.
    ///
    /// # Errors
    /// [`ServeError::Close`].
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<(), ServeError> {
        let Server { mut door, address, context, stop } = self;
        if let Some(line) = context.config.about_memory() {
            tracing::warn!("{line}");
        }
        tracing::info!(%address, data_dir = %context.config.data_dir.display(), "listening");
        tokio::select! {
            () = door.accept_all() => {}
            () = shutdown => {}
        }
        let Door { listener, graceful, mut connections, .. } = door;
        drop(listener);
        tracing::info!(connections = connections.len(), "stopping");
        stop.send_replace(true);
        if timeout(context.config.drain_timeout, graceful.shutdown()).await.is_err() {
            tracing::warn!("some requests did not end in time");
        }
        connections.shutdown().await;
        if let Some(trails) = &context.trails {
            trails.close().await;
        }
        context.backend.close().await.map_err(ServeError::Close)
    }
}

async fn open_trails(backend: &Backend, metrics: &Metrics, config: &Config, schema: DimensionSchema) -> Result<Trails, Error> {
    Trails::open(backend.clone(), metrics.clone(), &config.data_dir, schema, &config.trails).await
}

fn unaccepted() -> ServeError {
    ServeError::Open(Error::new(ErrorKind::Closed, "the server stopped accepting"))
}

impl Door {
    /// Accepts for ever. Without free file descriptors it waits for some instead of spinning; the last ones are left to the log.
    async fn accept_all(&mut self) {
        let mut pause = ACCEPT_PAUSE_MIN;
        loop {
            while self.connections.try_join_next().is_some() {}
            // Further clients wait in the kernel's queue.
            let Ok(place) = self.hall.places.clone().acquire_owned().await else { return };
            match self.listener.accept().await {
                Ok((stream, _)) if descriptors::is_of_reserve(&stream) => {
                    drop(stream);
                    tracing::warn!("a connection was closed: there are no file descriptors (ulimit -n) but what the log needs");
                    sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE_MIN;
                    self.connections.spawn(connection(stream, peer, self.hall.clone(), self.graceful.watcher(), place));
                }
                Err(e) if is_of_client(&e) => {}
                Err(e) => {
                    tracing::warn!(error = %e, "cannot accept a connection");
                    sleep(pause).await;
                    pause = (pause * 2).min(ACCEPT_PAUSE_MAX);
                }
            }
        }
    }
}

/// The client went away before it was accepted.
fn is_of_client(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionRefused)
}

fn farewell(hall: &Hall) -> Farewell {
    let (metrics, ids) = (hall.metrics.clone(), hall.ids.clone());
    Box::new(move |refusal| {
        metrics.request("unmatched", "other", refusal.status().as_u16(), Duration::ZERO);
        unread(refusal, &ids.next())
    })
}

async fn connection(stream: TcpStream, peer: SocketAddr, hall: Arc<Hall>, watcher: Watcher, _place: OwnedSemaphorePermit) {
    let _held = hall.metrics.connection();
    if let Err(e) = stream.set_nodelay(true) {
        tracing::debug!(%peer, error = %e, "cannot set TCP_NODELAY");
    }
    let config = hall.config.clone();
    let patience = Patience {
        header: config.header_timeout,
        idle: config.idle_timeout,
        write: config.write_timeout,
        write_rate_min: config.answer_rate_min,
    };
    let working = Working::default();
    let stream = Timed::new(stream, patience, working.clone(), Heads::new(config.header_bytes_max), farewell(&hall));
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        let (hall, guard) = (hall.clone(), working.begin());
        async move {
            let response = hall.front().answer(request.map(Body::new), peer.ip()).await;
            Ok::<_, Infallible>(response.map(|body| WorkingBody { body, _guard: guard }))
        }
    });
    let buffer = usize::try_from(config.header_bytes_max).unwrap_or(BUFFER_BYTES_MIN).saturating_mul(2).max(BUFFER_BYTES_MIN);
    let mut builder = http1::Builder::new();
    // hyper's own timer also runs between requests, so that it can only be the last line behind `Timed`.
    builder.timer(TokioTimer::new()).header_read_timeout(config.header_timeout.saturating_add(config.idle_timeout)).max_buf_size(buffer);
    let serving = watcher.watch(builder.serve_connection(TokioIo::new(stream), service));
    if let Err(e) = serving.await {
        tracing::debug!(%peer, error = %e, "a connection ended early");
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn ask(client: &mut TcpStream, body: &str) {
        client.write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
        let mut text = String::new();
        while !text.ends_with(body) {
            let mut piece = [0; 1_024];
            let count = timeout(Duration::from_secs(10), client.read(&mut piece)).await.unwrap().unwrap();
            assert!(count > 0, "the connection ended after {text:?}");
            text += std::str::from_utf8(&piece[..count]).unwrap();
        }
    }

    #[tokio::test]
    async fn a_connection_from_the_time_of_recovery_serves_the_open_log() {
        let says = |text: &'static str| {
            let observer = Observer::new(Metrics::new(), 16 << 10, true, Arc::new(RequestIds::new()));
            Front::new(observer, Router::new().fallback(async move || text), None)
        };
        let hall = Arc::new(Hall {
            config: Arc::new(Config::default()),
            metrics: Metrics::new(),
            ids: Arc::new(RequestIds::new()),
            places: Arc::new(Semaphore::new(1)),
            opening: says("wait"),
            open: OnceLock::new(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, peer) = listener.accept().await.unwrap();
        let place = hall.places.clone().acquire_owned().await.unwrap();
        let graceful = GracefulShutdown::new();
        let serving = tokio::spawn(connection(stream, peer, hall.clone(), graceful.watcher(), place));
        ask(&mut client, "wait").await;
        hall.open.set(says("open")).unwrap();
        ask(&mut client, "open").await;
        drop(client);
        serving.await.unwrap();
    }
}
