//! [`Auth`]: which key a request brings, and whether it may do what it asks.
//!
//! Tokens are compared by their SHA-256, in constant time; an unknown id takes the same way as a known one. Without keys in the
//! configuration everything is allowed: the server then listens on loopback only, and `origin` keeps web pages out.

use std::collections::HashMap;
use std::net::IpAddr;

use axum::http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use subtle::ConstantTimeEq;
use trail_engine::clock::{Clock, SystemClock};

use crate::api::refusal::Refusal;
use crate::api::route::Access;
use crate::config::{KeyEntry, Scope};
use crate::keys;
use crate::server::failures::Failures;

/// The keys of the configuration.
#[derive(Debug)]
pub(super) struct Auth {
    keys: HashMap<String, KeyEntry>,
    failures: Failures,
    clock: SystemClock,
}

impl Auth {
    pub(super) fn new(keys: &[KeyEntry], failures_per_minute: u32) -> Auth {
        let keys = keys.iter().map(|key| (key.id.clone(), key.clone())).collect();
        Auth { keys, failures: Failures::new(failures_per_minute), clock: SystemClock::new() }
    }

    /// Whether anybody has to say who he is.
    pub(super) fn has_keys(&self) -> bool {
        !self.keys.is_empty()
    }

    /// 401 for no or a wrong key, 403 for one that may not, 429 for too many wrong ones.
    pub(super) fn check(&self, access: Access, headers: &HeaderMap, peer: IpAddr) -> Result<(), Refusal> {
        let Access::Needs(scope) = access else { return Ok(()) };
        if self.keys.is_empty() {
            return Ok(());
        }
        let key = match self.key_of(headers) {
            Ok(key) => key,
            Err(reason) if self.failures.count(peer, self.clock.elapsed()) => return Err(unauthorized(reason)),
            Err(_) => {
                let refusal = Refusal::new(StatusCode::TOO_MANY_REQUESTS, "too_many_failures", "too many failed authentications; wait");
                return Err(refusal.retry_after(10));
            }
        };
        if key.scopes.contains(&scope) || key.scopes.contains(&Scope::Admin) {
            return Ok(());
        }
        let message = format!("key `{}` does not have the scope `{}`", key.id, scope.name());
        Err(Refusal::new(StatusCode::FORBIDDEN, "forbidden", message))
    }

    fn key_of(&self, headers: &HeaderMap) -> Result<&KeyEntry, &'static str> {
        let mut values = headers.get_all(AUTHORIZATION).iter();
        let (Some(value), None) = (values.next(), values.next()) else {
            return Err("send `Authorization: Bearer TOKEN`; `traild key create` makes a token");
        };
        let (scheme, token) = value.to_str().ok().and_then(|v| v.split_once(' ')).ok_or("the authorization is no bearer token")?;
        if !scheme.eq_ignore_ascii_case("bearer") {
            return Err("the authorization is no bearer token");
        }
        let token = token.trim();
        let entry = keys::id_of(token).and_then(|id| self.keys.get(id));
        let expected = entry.map_or([0_u8; 32], |e| e.sha256);
        let same = bool::from(keys::hash(token).ct_eq(&expected));
        match entry.filter(|_| same) {
            None => Err("the key is not known"),
            Some(key) if key.expires_at.is_some_and(|end| end <= self.clock.now()) => Err("the key has expired"),
            Some(key) => Ok(key),
        }
    }
}

fn unauthorized(reason: &str) -> Refusal {
    let refusal = Refusal::new(StatusCode::UNAUTHORIZED, "unauthorized", reason);
    refusal.header(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"traild\""))
}

#[cfg(test)]
mod tests {
    use axum::response::IntoResponse;
    use trail_engine::id::Timestamp;

    use super::*;

    const PEER: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    fn key(id: &str, scopes: &[Scope], expires_at: Option<Timestamp>) -> (String, KeyEntry) {
        let token = keys::create(Some(id), scopes).unwrap().token;
        let entry = KeyEntry { id: id.into(), sha256: keys::hash(&token), scopes: scopes.to_vec(), expires_at };
        (token, entry)
    }

    fn status(auth: &Auth, access: Access, authorization: Option<&str>) -> u16 {
        let headers = HeaderMap::from_iter(authorization.map(|a| (AUTHORIZATION, a.parse().unwrap())));
        auth.check(access, &headers, PEER).map_or_else(|r| r.into_response().status().as_u16(), |()| 200)
    }

    #[test]
    fn scopes_are_independent_and_admin_has_all() {
        let (read, read_entry) = key("r", &[Scope::Query], None);
        let (write, write_entry) = key("w", &[Scope::Ingest], None);
        let (all, all_entry) = key("a", &[Scope::Admin], None);
        let auth = Auth::new(&[read_entry, write_entry, all_entry], 30);
        for (token, expected) in [(&read, [403, 200, 403]), (&write, [200, 403, 403]), (&all, [200, 200, 200])] {
            let got = Scope::ALL.map(|scope| status(&auth, Access::Needs(scope), Some(&format!("bearer {token}"))));
            assert_eq!(got, expected);
        }
        assert_eq!(status(&auth, Access::Public, None), 200);
    }

    #[test]
    fn wrong_keys_are_refused_and_then_slowed_down() {
        let (good, entry) = key("k", &[Scope::Query], None);
        let (old, old_entry) = key("old", &[Scope::Query], Timestamp::from_seconds(1));
        let auth = Auth::new(&[entry, old_entry], 5);
        let access = Access::Needs(Scope::Query);
        let other = keys::create(Some("k"), &[Scope::Query]).unwrap().token;
        for wrong in
            [None, Some(format!("Bearer {other}")), Some(format!("Bearer {old}")), Some(format!("Basic {good}")), Some(good.clone())]
        {
            assert_eq!(status(&auth, access, wrong.as_deref()), 401, "{wrong:?}");
        }
        assert_eq!(status(&auth, access, None), 429);
        assert_eq!(status(&auth, access, Some(&format!("Bearer {good}"))), 200);
    }

    #[test]
    fn without_keys_everything_is_allowed() {
        let auth = Auth::new(&[], 5);
        assert!(!auth.has_keys());
        assert_eq!(status(&auth, Access::Needs(Scope::Admin), None), 200);
    }
}
