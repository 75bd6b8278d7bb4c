//! Who may do what, over the whole table of routes.

use std::fs;

use traild::api::native::routes;
use traild::api::route::Access;
use traild::config::{Config, KeyEntry, Scope};
use traild::keys;

use crate::client::Running;

fn key(id: &str, scope: Scope) -> (String, KeyEntry) {
    let token = keys::create(Some(id), &[scope]).unwrap().token;
    let entry = KeyEntry { id: id.into(), sha256: keys::hash(&token), scopes: vec![scope], expires_at: None };
    (token, entry)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_route_asks_for_its_scope_and_no_other() {
    let keys = Scope::ALL.map(|scope| (scope, key(scope.name(), scope)));
    let entries = keys.iter().map(|(_, (_, entry))| entry.clone()).collect();
    let server = Running::start(|c| {
        c.keys = entries;
        c.auth_failures_per_minute = 1_000;
    })
    .await;
    for route in routes().iter().filter(|route| route.path != "/v1/tail") {
        let path = route.path.replace(['{', '}'], "");
        let status = async |token: Option<&str>| {
            let authorization = token.map(|t| format!("Bearer {t}")).unwrap_or_default();
            let headers = [("authorization", authorization.as_str())];
            let headers = if token.is_some() { &headers[..] } else { &[] };
            server.send(route.method.as_str(), &path, headers, b"").await.status
        };
        let Access::Needs(needed) = route.access else {
            assert_eq!(status(None).await, 200, "{path}");
            continue;
        };
        assert_eq!(status(None).await, 401, "{path}");
        assert_eq!(status(Some("traild_query_wrong")).await, 401, "{path}");
        for (scope, (token, _)) in &keys {
            let refused = status(Some(token)).await == 403;
            assert_eq!(refused, *scope != needed && *scope != Scope::Admin, "{} on {} {path}", scope.name(), route.method);
        }
    }
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn guessing_is_slowed_down() {
    let (token, entry) = key("q", Scope::Query);
    let server = Running::start(|c| {
        c.keys = vec![entry];
        c.auth_failures_per_minute = 3;
    })
    .await;
    let mut last = 0;
    for _ in 0..5 {
        last = server.send("GET", "/v1/count", &[("authorization", "Bearer guess")], b"").await.status;
    }
    assert_eq!(last, 429);
    let good = format!("Bearer {token}");
    assert_eq!(server.send("GET", "/v1/count", &[("authorization", &good)], b"").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_keys_web_pages_stay_out() {
    let server = Running::start(|_| {}).await;
    let rebound = server.raw(b"GET /v1/count HTTP/1.1\r\nhost: evil.example\r\nconnection: close\r\n\r\n").await;
    assert_eq!((rebound.status, rebound.code().as_str()), (403, "foreign_origin"));
    let foreign = server.send("POST", "/v1/events", &[("origin", "https://evil.example")], b"{}").await;
    assert_eq!(foreign.status, 403);
    assert_eq!(server.get("/v1/count").await.status, 200);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_keys_only_loopback_is_listened_on() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { listen: "0.0.0.0:0".parse().unwrap(), data_dir: directory.path().join("log"), ..Config::default() };
    let error = traild::server::Server::open(config).await.unwrap_err();
    assert!(error.to_string().contains("traild key create"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0, "a refused start touched the directory");
}
