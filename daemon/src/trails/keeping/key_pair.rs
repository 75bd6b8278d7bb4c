//! [`PublicKey`] and [`SigningKey`]: the halves of a key pair of digests, how long they count, and how they are kept.
//!
//! A pair signs for a year, or until another takes its place. The public half is told a day longer on both sides, since a digest covers a time that may
//! begin before its key was made, and clocks are set. Limits: RSA with 2,048 bits, because that is what the vendor's verifier knows.

use std::fmt;

use md5::{Digest as _, Md5};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, DecodeRsaPublicKey as _, EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::{Pkcs1v15Sign, RsaPrivateKey, RsaPublicKey};
use serde::{Deserialize, Serialize};
use trail_engine::error::{Error, Result};

const BITS: usize = 2_048;
const DAY: i64 = 86_400;
/// How long a key signs at most, in seconds.
const SIGNS: i64 = 365 * DAY;

/// The half of a pair that everybody may know. Times are in seconds since the epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name: the MD5 of its bytes, in hex.
    pub fingerprint: String,
    /// PKCS #1, DER.
    pub der: Vec<u8>,
    /// When the pair was made.
    pub created_at: i64,
    /// When another took its place; nothing while it signs.
    pub retired_at: Option<i64>,
}

impl PublicKey {
    fn new(der: Vec<u8>, created_at: i64, retired_at: Option<i64>) -> PublicKey {
        PublicKey { fingerprint: hex(&Md5::digest(&der)), der, created_at, retired_at }
    }

    /// From when on there may be digests of it.
    #[must_use]
    pub fn valid_from(&self) -> i64 {
        self.created_at.saturating_sub(DAY)
    }

    /// Until when there may be.
    #[must_use]
    pub fn valid_until(&self) -> i64 {
        self.retired_at.unwrap_or(self.created_at.saturating_add(SIGNS)).saturating_add(DAY)
    }

    /// Whether it may sign at a time.
    #[must_use]
    pub fn signs_at(&self, now: i64) -> bool {
        self.retired_at.is_none() && now <= self.created_at.saturating_add(SIGNS)
    }

    /// The same, whose place another took.
    #[must_use]
    pub fn retired(&self, at: i64) -> PublicKey {
        PublicKey { retired_at: Some(at), ..self.clone() }
    }

    /// As it is kept, without a private half.
    #[must_use]
    pub fn kept(&self) -> KeptKey {
        KeptKey { created_at: self.created_at, retired_at: self.retired_at, public_key: hex(&self.der), private_key: None }
    }
}

/// A pair that signs. Its private half is wiped from memory with the last that holds it.
pub struct SigningKey {
    /// The half that everybody may know.
    pub public: PublicKey,
    private: RsaPrivateKey,
}

impl SigningKey {
    /// A new pair. Takes some tenths of a second of computing.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn make(now: i64) -> Result<SigningKey> {
        let private = RsaPrivateKey::new(&mut OsRng, BITS).map_err(|e| Error::invalid("no key can be made").because(e))?;
        SigningKey::of(private, now)
    }

    fn of(private: RsaPrivateKey, created_at: i64) -> Result<SigningKey> {
        let der = private.to_public_key().to_pkcs1_der().map_err(|e| Error::invalid("a key cannot be written").because(e))?;
        Ok(SigningKey { public: PublicKey::new(der.as_bytes().to_vec(), created_at, None), private })
    }

    /// The signature of bytes: PKCS #1 v1.5 with SHA-256.
    ///
    /// # Errors
    /// When the system gives no randomness.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>> {
        use rsa::sha2::Digest as _;
        let signed = self.private.sign_with_rng(&mut OsRng, Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(bytes));
        signed.map_err(|e| Error::invalid("nothing can be signed").because(e))
    }

    /// As it is kept, with its private half.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn kept(&self) -> Result<KeptKey> {
        let der = self.private.to_pkcs1_der().map_err(|e| Error::invalid("a key cannot be written").because(e))?;
        Ok(KeptKey { private_key: Some(hex(der.as_bytes())), ..self.public.kept() })
    }
}

/// Without the private half.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public.fingerprint).finish()
    }
}

/// A pair as it is kept; only the one that signs has its private half.
#[derive(Serialize, Deserialize)]
pub struct KeptKey {
    created_at: i64,
    retired_at: Option<i64>,
    /// PKCS #1, DER, in hex.
    public_key: String,
    /// The same.
    private_key: Option<String>,
}

/// Without the private half.
impl fmt::Debug for KeptKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("KeptKey").field(&self.public_key).finish()
    }
}

impl KeptKey {
    /// The public half, when another took its place; nothing when it is no such key.
    #[must_use]
    pub fn retired(&self) -> Option<PublicKey> {
        let der = from_hex(&self.public_key).filter(|der| self.private_key.is_none() && RsaPublicKey::from_pkcs1_der(der).is_ok())?;
        Some(PublicKey::new(der, self.created_at, Some(self.retired_at?)))
    }

    /// The pair, when it signs; nothing when it is no such key, or its halves are not of one pair.
    #[must_use]
    pub fn signing(&self) -> Option<SigningKey> {
        let private = RsaPrivateKey::from_pkcs1_der(&from_hex(self.private_key.as_ref()?)?).ok()?;
        let key = SigningKey::of(private, self.created_at).ok()?;
        (self.retired_at.is_none() && from_hex(&self.public_key)? == key.public.der).then_some(key)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |hex, byte| hex + &format!("{byte:02x}"))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(pair).collect()
}
