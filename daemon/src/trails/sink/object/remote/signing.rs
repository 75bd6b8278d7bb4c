//! [`Keys`]: what requests to a store that speaks S3 are signed with (version 4).
//!
//! Problem: opendal signs before this program's HTTP sees a request, so that nothing can be added then; it sends no MD5 with a part, and says with each part how the object is
//! encrypted, which AWS and OSS refuse ("header is not supported for this operation"). Mechanism: opendal is told not to sign; its own signer, reqsign,
//! does it here, when the request is as it goes out. Limits: keys of a definition alone, no roles.

use hyper::http::request::Parts;
use opendal::{Error, ErrorKind};
use reqsign_aws_v4::{Credential, RequestSigner, StaticCredentialProvider};
use reqsign_core::{Context, Signer};

/// How an object is encrypted is said when it is put or an upload begins.
const ENCRYPTION: [&str; 2] = ["x-amz-server-side-encryption", "x-amz-server-side-encryption-aws-kms-key-id"];

/// A key, for one region.
#[derive(Debug)]
pub struct Keys(Signer<Credential>);

impl Keys {
    /// A key, with the token of one that is lent.
    #[must_use]
    pub fn new(id: &str, secret: &str, token: Option<&str>, region: &str) -> Keys {
        let key = StaticCredentialProvider::new(id, secret);
        let key = match token {
            Some(token) => key.with_session_token(token),
            None => key,
        };
        Keys(Signer::new(Context::new(), key, RequestSigner::new("s3", region)))
    }

    /// Signs a request as it is, but for what is not to be said of a part.
    ///
    /// # Errors
    /// When there is no key in the definition.
    pub async fn sign(&self, head: &mut Parts) -> opendal::Result<()> {
        if head.uri.query().is_some_and(|query| query.contains("uploadId=")) {
            for name in ENCRYPTION {
                head.headers.remove(name);
            }
        }
        self.0.sign(head, None).await.map_err(|e| Error::new(ErrorKind::PermissionDenied, format!("a request cannot be signed: {e}")))
    }
}
