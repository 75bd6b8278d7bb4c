//! [`Signer`]: how a request to SLS proves who sends it: V1 (HMAC-SHA1, going out of use) and V4 (HMAC-SHA256, bound to a region and a day).

use std::fmt;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Digest as _;
use ring::hmac;
use sha2::Sha256;
use trail_engine::id::Timestamp;

/// Which signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// `LOG KEY:SIGNATURE`.
    V1,
    /// `SLS4-HMAC-SHA256 ..`, for a region.
    V4(String),
}

/// Signs requests.
#[derive(Clone)]
pub struct Signer {
    /// The name of the key.
    pub key_id: String,
    /// The key itself.
    pub secret: String,
    /// Of temporary keys.
    pub token: Option<String>,
    /// Which signature.
    pub version: Version,
}

/// Without the key.
impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Signer({:?})", self.version)
    }
}

type Headers = Vec<(String, String)>;

impl Signer {
    /// The headers of a POST, those that prove who sends it among them. Names in `headers` are in lower case, `host` among them.
    #[must_use]
    pub fn signed(&self, path: &str, mut headers: Headers, body: &[u8], now: Timestamp) -> Headers {
        let mut add = |name: &str, value: String| headers.push((name.to_owned(), value));
        if let Some(token) = &self.token {
            add("x-acs-security-token", token.clone());
        }
        match &self.version {
            Version::V1 => {
                add("x-log-signaturemethod", "hmac-sha1".into());
                add("date", http_date(now));
                add("content-md5", hex(&md5::Md5::digest(body)).to_uppercase());
                let signature = self.v1(path, &headers);
                headers.push(("authorization".into(), format!("LOG {}:{signature}", self.key_id)));
            }
            Version::V4(region) => {
                let time = basic_time(now);
                add("x-log-date", time.clone());
                add("x-log-content-sha256", hex(&Sha256::digest(body)));
                let scope = format!("{}/{region}/sls/aliyun_v4_request", time.get(..8).unwrap_or_default());
                let signature = self.v4(path, &headers, &time, &scope, region);
                let authorization = format!("SLS4-HMAC-SHA256 Credential={}/{scope},Signature={signature}", self.key_id);
                headers.push(("authorization".into(), authorization));
            }
        }
        headers
    }

    fn v1(&self, path: &str, headers: &Headers) -> String {
        let value = |name: &str| headers.iter().find(|(known, _)| known == name).map_or("", |(_, value)| value);
        let mut text = format!("POST\n{}\n{}\n{}\n", value("content-md5"), value("content-type"), value("date"));
        for (name, value) in sorted(headers, is_extra) {
            text += &format!("{name}:{value}\n");
        }
        text += path;
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, self.secret.as_bytes());
        STANDARD.encode(hmac::sign(&key, text.as_bytes()))
    }

    fn v4(&self, path: &str, headers: &Headers, time: &str, scope: &str, region: &str) -> String {
        let headers = sorted(headers, |name| matches!(name, "content-type" | "host") || is_extra(name));
        let lines: String = headers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let names: Vec<&str> = headers.iter().map(|(name, _)| name.as_str()).collect();
        let content = headers.iter().find(|(name, _)| name == "x-log-content-sha256").map_or("", |(_, value)| value);
        let request = format!("POST\n{path}\n\n{lines}\n{}\n{content}", names.join(";"));
        let text = format!("SLS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(&Sha256::digest(request)));
        let mut key = format!("aliyun_v4{}", self.secret).into_bytes();
        for part in [time.get(..8).unwrap_or_default(), region, "sls", "aliyun_v4_request"] {
            key = mac(&key, part);
        }
        hex(&mac(&key, &text))
    }
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
}

fn is_extra(name: &str) -> bool {
    (name.starts_with("x-log-") && !name.starts_with("x-log-meta-")) || name.starts_with("x-acs-")
}

fn sorted(headers: &Headers, is_signed: impl Fn(&str) -> bool) -> Headers {
    let mut signed: Headers = headers.iter().filter(|(name, _)| is_signed(name)).cloned().collect();
    signed.sort();
    signed
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `Sun, 22 Nov 2026 08:00:00 GMT`
fn http_date(now: Timestamp) -> String {
    let since = Duration::from_millis(u64::try_from(now.as_millis()).unwrap_or(0));
    httpdate::fmt_http_date(std::time::UNIX_EPOCH + since)
}

/// `20261122T080000Z`
fn basic_time(now: Timestamp) -> String {
    let whole = Timestamp::from_seconds(now.as_millis().div_euclid(1_000)).unwrap_or(now);
    whole.to_string().chars().filter(|c| !matches!(c, '-' | ':')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the vendor's Python SDK (aliyun-log-python-sdk 0.9.52, `aliyun/log/auth.py`) makes of the same request at the same time.
    #[test]
    fn signatures_are_those_of_the_vendors_sdk() {
        let headers = || {
            let all = [
                ("host", "proj.cn-hangzhou.log.aliyuncs.com"),
                ("content-type", "application/x-protobuf"),
                ("x-log-apiversion", "0.6.0"),
                ("x-log-bodyrawsize", "9"),
                ("x-log-compresstype", "lz4"),
            ];
            all.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
        };
        // 2026-11-22T08:00:00.5Z: fractions of a second are in none of the headers.
        let now = Timestamp(1_795_334_400_500_000_000);
        let v4 = "SLS4-HMAC-SHA256 Credential=AKID/20261122/cn-hangzhou/sls/aliyun_v4_request,Signature=";
        for (version, token, wanted) in [
            (Version::V1, None, "LOG AKID:4ngm8QhZban3HA+LxVlnlcUcgtw=".to_owned()),
            (Version::V1, Some("sts-token"), "LOG AKID:VR9Rs7R8XtAM3Nu7W9Pt0jdN14k=".to_owned()),
            (Version::V4("cn-hangzhou".into()), None, format!("{v4}8cdcb6ce7da65a3e8e6d1407560363daa1c7ea3e66d14ce21ef5081cffa97622")),
            (
                Version::V4("cn-hangzhou".into()),
                Some("sts-token"),
                format!("{v4}2e707cb924e844c1b42fa49587c4fccd793ab0daf5192fa5ecc4c42ea810e4ed"),
            ),
        ] {
            let signer = Signer { key_id: "AKID".into(), secret: "geheim".into(), token: token.map(Into::into), version };
            assert!(!format!("{signer:?}").contains("geheim"));
            let signed = signer.signed("/logstores/store/shards/lb", headers(), b"some body", now);
            let value = |name: &str| signed.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            assert_eq!(value("authorization"), Some(wanted.as_str()));
            if signer.version == Version::V1 {
                assert_eq!(value("date"), Some("Sun, 22 Nov 2026 08:00:00 GMT"));
                assert_eq!(value("content-md5"), Some("328C30FAE61CD119CD177C061D1AC11F"));
            } else {
                assert_eq!(value("x-log-date"), Some("20261122T080000Z"));
            }
        }
    }
}
