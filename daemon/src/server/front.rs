//! [`Front`]: where every request comes in once its head was read.
//!
//! **Problem.** A small request to store events costs little, and going through layers of a router several times as much as its answer:
//! each layer clones all that is behind it and puts its work into boxes. **Mechanism.** The observer is called, not layered. The route that
//! stores events is known by its method and path alone, and its handler is called behind its gate; every other request goes
//! through the table of routes. **Limits.** One route; spelled differently its path goes through the table, which has that route too.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Method;
use axum::response::{IntoResponse, Response};
use tower::ServiceExt;

use crate::api::context::Context;
use crate::api::native;
use crate::server::gate::{Answered, Gate, Peer};
use crate::server::observe::{Observer, UNMATCHED, observe};

/// Answers requests.
#[derive(Debug)]
pub(super) struct Front {
    observer: Observer,
    router: Router,
    store: Option<Store>,
}

/// The route that stores events.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) gate: Arc<Gate>,
    pub(super) context: Arc<Context>,
}

impl Front {
    pub(super) fn new(observer: Observer, router: Router, store: Option<Store>) -> Front {
        Front { observer, router, store }
    }

    /// Answers a request from this address.
    pub(super) async fn answer(&self, request: Request, peer: IpAddr) -> Response {
        observe(&self.observer, request, |request| self.dispatch(request, peer)).await
    }

    /// An answer, and the path of the route that gave it.
    async fn dispatch(&self, request: Request, peer: IpAddr) -> (Response, &'static str) {
        match &self.store {
            Some(store) if store.is_meant(&request) => (store.answer(request, peer).await, store.gate.path),
            // In a box, or every request would have room for the larger of both.
            _ => Box::pin(self.by_table(request, peer)).await,
        }
    }

    async fn by_table(&self, mut request: Request, peer: IpAddr) -> (Response, &'static str) {
        request.extensions_mut().insert(Peer(peer));
        let response = match self.router.clone().oneshot(request).await {
            Ok(response) => response,
            Err(never) => match never {},
        };
        let route = response.extensions().get::<Answered>().map_or(UNMATCHED, |answered| answered.0);
        (response, route)
    }
}

impl Store {
    fn is_meant(&self, request: &Request) -> bool {
        *request.method() == Method::POST && request.uri().path() == self.gate.path
    }

    async fn answer(&self, request: Request, peer: IpAddr) -> Response {
        match self.gate.admit(&request, peer) {
            Ok(()) => native::store(&self.context, request).await.into_response(),
            Err(refusal) => refusal.into_response(),
        }
    }
}
