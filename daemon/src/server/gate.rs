//! The layer around each route: its name for the metrics, the scope it needs, and that nothing is asked that it does not know.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use crate::api::params::Params;
use crate::api::refusal::Refusal;
use crate::api::route::Access;
use crate::metrics::Metrics;
use crate::server::auth::Auth;

/// Where a request came from; an extension of the request.
#[derive(Debug, Clone, Copy)]
pub(super) struct Peer(pub(super) IpAddr);

/// The path of the route that answered; an extension of the response.
#[derive(Debug, Clone, Copy)]
pub(super) struct Answered(pub(super) &'static str);

/// What the layer of one route knows.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) path: &'static str,
    pub(super) access: Access,
    /// Whether the route takes nothing in its query string.
    pub(super) no_query: bool,
    pub(super) auth: Arc<Auth>,
    pub(super) metrics: Metrics,
}

impl Gate {
    /// Whether a request may come to the route.
    pub(super) fn admit(&self, request: &Request, peer: IpAddr) -> Result<(), Refusal> {
        self.auth.check(self.access, request.headers(), peer).inspect_err(|_| self.metrics.auth_failure())?;
        self.check_query(request)
    }

    /// Routes with parameters check them by themselves.
    fn check_query(&self, request: &Request) -> Result<(), Refusal> {
        if self.no_query { Params::of_query(request.uri().query(), &[]).map(drop) } else { Ok(()) }
    }
}

pub(super) async fn check(State(gate): State<Arc<Gate>>, request: Request, next: Next) -> Response {
    // A request without a peer can come from a test only; it shares one bucket of failures.
    let peer = request.extensions().get::<Peer>().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0);
    let mut response = match gate.admit(&request, peer) {
        Ok(()) => next.run(request).await,
        Err(refusal) => refusal.into_response(),
    };
    response.extensions_mut().insert(Answered(gate.path));
    response
}
