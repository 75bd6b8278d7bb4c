//! Makes the router from the table of routes.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::{Method, StatusCode};
use axum::middleware::from_fn_with_state;

use crate::api::refusal::Refusal;
use crate::api::route::{Access, Place, RequestBody, Route};
use crate::metrics::Metrics;
use crate::server::auth::Auth;
use crate::server::gate::{self, Gate};

/// Every route behind its gate.
pub(super) fn router<S: Clone + Send + Sync + 'static>(
    routes: Vec<(RouteHead, axum::routing::MethodRouter<S>)>,
    state: S,
    auth: &Arc<Auth>,
    metrics: &Metrics,
) -> Router {
    let mut router = Router::new();
    for (head, handler) in routes {
        let gate = Arc::new(head.gate(auth, metrics));
        router = router.route(head.path, handler.route_layer(from_fn_with_state(gate, gate::check)));
    }
    router.fallback(unknown).method_not_allowed_fallback(wrong_method).with_state(state)
}

/// What the gate of a route must know.
#[derive(Debug, Clone, Copy)]
pub(super) struct RouteHead {
    path: &'static str,
    access: Access,
    no_query: bool,
}

impl RouteHead {
    pub(super) fn of(route: &Route) -> RouteHead {
        let in_query = route.parameters.iter().any(|p| p.place == Place::Query) && route.body != RequestBody::Parameters;
        // Probes and pages for people may carry anything, as those do that keep caches away.
        RouteHead { path: route.path, access: route.access, no_query: !in_query && route.path.starts_with("/v1/") }
    }

    /// The gate before the route.
    pub(super) fn gate(self, auth: &Arc<Auth>, metrics: &Metrics) -> Gate {
        Gate { path: self.path, access: self.access, no_query: self.no_query, auth: auth.clone(), metrics: metrics.clone() }
    }
}

async fn unknown(request: Request) -> Refusal {
    let path: String = request.uri().path().chars().take(200).collect();
    Refusal::not_found(format!("there is nothing at `{path}`; see /openapi.json"))
}

async fn wrong_method(method: Method) -> Refusal {
    Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", format!("{method} cannot be used here; see /openapi.json"))
}

#[cfg(test)]
mod tests {
    use crate::server::front::Front;
    use crate::server::observe::{Observer, RequestIds};
    use axum::body::Body;
    use axum::response::Response;
    use axum::routing::{get, post};
    use http_body_util::BodyExt;
    use serde_json::Value;
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;
    use crate::config::{KeyEntry, Scope};
    use crate::keys;

    fn with_keys(keys: &[KeyEntry]) -> Front {
        let head = |path, access| RouteHead { path, access, no_query: false };
        let read = get(|| async { "read" });
        let write = post(|| async { Err::<(), _>(Refusal::bad_request("empty_body", "there is no event in the body").at(3)) });
        let routes = vec![
            (head("/things", Access::Needs(Scope::Query)), read),
            (head("/things", Access::Needs(Scope::Ingest)), write),
            (head("/open", Access::Public), get(|| async { "open" })),
        ];
        let auth = Arc::new(Auth::new(keys, 30));
        let observer = Observer::new(Metrics::new(), 16 << 10, !auth.has_keys(), Arc::new(RequestIds::new()));
        Front::new(observer, router(routes, (), &auth, &Metrics::new()), None)
    }

    async fn send(router: &Front, method: &str, path: &str, token: Option<&str>) -> (u16, Value, Response<()>) {
        let mut request = Request::builder().method(method).uri(path).header("host", "localhost:1").header("x-request-id", "r-9");
        if let Some(token) = token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        let response = router.answer(request.body(Body::empty()).unwrap(), IpAddr::V4(Ipv4Addr::LOCALHOST)).await;
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        let value = serde_json::from_slice(&bytes).unwrap_or(Value::Null);
        (parts.status.as_u16(), value, Response::from_parts(parts, ()))
    }

    #[tokio::test]
    async fn every_error_has_the_one_shape_and_the_id() {
        let router = with_keys(&[]);
        for (method, path, status, code) in [
            ("GET", "/nothing", 404, "not_found"),
            ("DELETE", "/things", 405, "method_not_allowed"),
            ("POST", "/things", 400, "empty_body"),
        ] {
            let (got, body, response) = send(&router, method, path, None).await;
            assert_eq!((got, body["error"]["code"].as_str()), (status, Some(code)), "{method} {path}");
            assert_eq!(body["error"]["request_id"], "r-9");
            assert_eq!(response.headers()["x-request-id"], "r-9");
            assert_eq!(response.headers()["content-type"], "application/json");
        }
        let (status, _, response) = send(&router, "GET", "/things", None).await;
        assert_eq!((status, &response.headers()["x-request-id"]), (200, &"r-9".parse().unwrap()));
        assert_eq!(send(&router, "HEAD", "/things", None).await.0, 200);
    }

    #[tokio::test]
    async fn methods_of_one_path_have_scopes_of_their_own() {
        let token = keys::create(Some("w"), &[Scope::Ingest]).unwrap().token;
        let entry = KeyEntry { id: "w".into(), sha256: keys::hash(&token), scopes: vec![Scope::Ingest], expires_at: None };
        let router = with_keys(&[entry]);
        assert_eq!(send(&router, "GET", "/things", Some(&token)).await.0, 403);
        assert_eq!(send(&router, "HEAD", "/things", Some(&token)).await.0, 403);
        assert_eq!(send(&router, "POST", "/things", Some(&token)).await.0, 400);
        assert_eq!(send(&router, "GET", "/open", None).await.0, 200);
        let (status, _, response) = send(&router, "GET", "/things", None).await;
        assert_eq!(status, 401);
        assert!(response.headers().contains_key("www-authenticate"));
    }
}
