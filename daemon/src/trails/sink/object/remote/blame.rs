//! What a store's refusal means: [`Fault`]s with what would mend them.
//!
//! A store says what is wrong in words for programmers. Here the codes that an operator can do something about become sentences with the member
//! that is to be mended; everything else is tried again. Limits: the codes are those of S3, and of Google's and Azure's stores where they differ.

use opendal::{Error, ErrorKind};

use crate::trails::sink::fault::Fault;

/// The longest part of a store's own words that is passed on, in bytes.
const WORDS_MAX: usize = 300;

/// What stores say of a body that has another sum than came with it.
const ALTERED: [&str; 5] = ["BadDigest", "InvalidDigest", "XAmzContentSHA256Mismatch", "XAmzContentChecksumMismatch", "Md5Mismatch"];

/// What a store is, in the words of its kind.
#[derive(Debug, Clone)]
pub struct Words {
    /// Where it is, for people.
    pub place: String,
    /// The members with its keys.
    pub keys: &'static str,
    /// The member with the name of the bucket or container.
    pub bucket: &'static str,
}

/// What an error of opendal means, that happened when something was done.
#[must_use]
pub fn fault(error: &Error, doing: &str, words: &Words) -> Fault {
    let told = told(error.message());
    let message = format!("cannot {doing} {}: {told}", words.place);
    if is_of(&told, &ALTERED) {
        return Fault::later(format!("{message}; the bytes were altered on their way"));
    }
    if let Some(mend) = mend(&told, words) {
        return Fault::setup(format!("{message}; {mend}"));
    }
    match error.kind() {
        _ if error.is_temporary() => Fault::later(message),
        ErrorKind::RateLimited | ErrorKind::Conflict | ErrorKind::ConditionNotMatch => Fault::later(message),
        ErrorKind::PermissionDenied => Fault::setup(format!("{message}; mend {} or what they are allowed to do", words.keys)),
        ErrorKind::NotFound | ErrorKind::ConfigInvalid => Fault::setup(format!("{message}; mend `{}` or `endpoint`", words.bucket)),
        _ => Fault::setup(message),
    }
}

/// Whether a store says that what came has another sum than was sent with it.
#[must_use]
pub fn says_altered(error: &Error) -> bool {
    is_of(&told(error.message()), &ALTERED)
}

fn is_of(told: &str, codes: &[&str]) -> bool {
    codes.iter().any(|code| told.starts_with(code))
}

/// What would mend it, by the code that the store gives.
fn mend(told: &str, words: &Words) -> Option<String> {
    let is = |codes: &[&str]| is_of(told, codes);
    let (keys, bucket) = (words.keys, words.bucket);
    Some(if is(&["NoSuchBucket", "ContainerNotFound", "The specified bucket does not exist"]) {
        format!("create it, or mend `{bucket}`, `endpoint` or `region`")
    } else if is(&[
        "InvalidAccessKeyId",
        "SignatureDoesNotMatch",
        "InvalidToken",
        "ExpiredToken",
        "AuthenticationFailed",
        "InvalidSecurity",
    ]) {
        format!("the store does not take the key: mend {keys}")
    } else if is(&["AccessDenied", "AllAccessDisabled", "AuthorizationPermissionMismatch", "AccountProblem", "UserDisable"]) {
        format!("allow the key of {keys} to put, get and list objects there")
    } else if is(&["AuthorizationHeaderMalformed", "PermanentRedirect", "TemporaryRedirect", "IllegalLocationConstraint"]) {
        "the bucket is in another region: mend `region` or `endpoint`".to_owned()
    } else if is(&["RequestTimeTooSkewed"]) {
        "set the clock of this machine".to_owned()
    } else if is(&["InvalidStorageClass"]) {
        "mend `storage_class`".to_owned()
    } else if told.starts_with("KMS") || is(&["InvalidEncryption", "ServerSideEncryption"]) {
        "mend `sse` or `sse_kms_key_id`".to_owned()
    } else {
        return None;
    })
}

/// The store's own words: its code and message where it has them.
fn told(message: &str) -> String {
    let quoted = |name: &str| {
        let behind = message.split_once(&format!("{name}: \""))?.1;
        behind.split_once('"').map(|(text, _)| text).filter(|text| !text.is_empty())
    };
    let told = match (quoted("code"), quoted("message")) {
        (Some(code), Some(text)) => format!("{code}: {text}"),
        (Some(code), None) => code.to_owned(),
        (None, Some(text)) => text.to_owned(),
        (None, None) if message.trim().is_empty() => "it says no more".to_owned(),
        (None, None) => message.split_whitespace().collect::<Vec<_>>().join(" "),
    };
    let end = (0..=WORDS_MAX.min(told.len())).rev().find(|at| told.is_char_boundary(*at)).unwrap_or(0);
    told.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::trails::sink::fault::FaultKind;

    fn words() -> Words {
        Words { place: "s3://audit at http://127.0.0.1:9000".into(), keys: "`access_key_id` and `secret_access_key`", bucket: "bucket" }
    }

    #[test]
    fn what_an_operator_can_mend_is_said() {
        let s3 = |code: &str| format!("S3Error {{ code: \"{code}\", message: \"of the store\", resource: \"/x\", request_id: \"\" }}");
        let cases = [
            (ErrorKind::ConfigInvalid, s3("NoSuchBucket"), "create it, or mend `bucket`"),
            (ErrorKind::PermissionDenied, s3("SignatureDoesNotMatch"), "mend `access_key_id` and `secret_access_key`"),
            (ErrorKind::PermissionDenied, s3("AccessDenied"), "put, get and list"),
            (ErrorKind::Unexpected, s3("PermanentRedirect"), "mend `region`"),
            (ErrorKind::PermissionDenied, String::new(), "it says no more; mend `access_key_id`"),
            (ErrorKind::NotFound, "<html>".into(), "mend `bucket` or `endpoint`"),
            (ErrorKind::Unexpected, "strange".into(), "put an object into s3://audit at http://127.0.0.1:9000: strange"),
        ];
        for (kind, message, mend) in cases {
            let fault = fault(&Error::new(kind, message.clone()), "put an object into", &words());
            assert_eq!(fault.kind, FaultKind::Setup, "{message}");
            assert!(fault.message.contains(mend), "{fault}");
        }
    }

    #[test]
    fn the_rest_is_tried_again() {
        let busy = Error::new(ErrorKind::Unexpected, "x".repeat(10_000)).set_temporary();
        let fault = |error: &Error| super::fault(error, "list", &words());
        assert_eq!(fault(&busy).kind, FaultKind::Later);
        assert!(fault(&busy).message.len() < 400);
        assert_eq!(fault(&Error::new(ErrorKind::RateLimited, "")).kind, FaultKind::Later);
        let altered = Error::new(ErrorKind::Unexpected, "S3Error { code: \"BadDigest\", message: \"other bytes\", resource: \"\" }");
        assert_eq!(fault(&altered).kind, FaultKind::Later);
        assert!(says_altered(&altered) && fault(&altered).message.ends_with("; the bytes were altered on their way"));
    }
}
