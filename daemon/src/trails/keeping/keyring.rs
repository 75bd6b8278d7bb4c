//! [`Keyring`]: the key pairs with which digests are signed.
//!
//! One pair for all trails of a server, made when the first digest is signed and followed by another after a year; old ones stay, so that old digests
//! can be checked. They lie in the folder of the trails with mode 0600, in `digest.keys`, and never in a bucket. Limits: RSA with 2,048 bits, because
//! that is what the vendor's verifier knows.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use md5::{Digest as _, Md5};
use rsa::pkcs1::{DecodeRsaPrivateKey as _, EncodeRsaPrivateKey as _, EncodeRsaPublicKey as _};
use rsa::rand_core::OsRng;
use rsa::sha2::Sha256;
use rsa::{Pkcs1v15Sign, RsaPrivateKey};
use serde::{Deserialize, Serialize};
use trail_engine::error::{Error, Result};

use crate::trails::keeping::store::Store;

const FILE: &str = "digest.keys";
const BITS: usize = 2_048;
const DAY: i64 = 86_400;
/// How long a key signs, in seconds.
const SIGNS: i64 = 365 * DAY;

/// The half of a pair that everybody may know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PublicKey {
    /// Its name: the MD5 of its bytes, in hex.
    pub fingerprint: String,
    /// PKCS #1, DER.
    pub der: Vec<u8>,
    /// From when on there are digests of it, in seconds since the epoch.
    pub valid_from: i64,
    /// Until when there may be.
    pub valid_until: i64,
}

/// A pair that signs.
#[derive(Clone)]
pub struct SigningKey {
    /// The half that everybody may know.
    pub public: PublicKey,
    private: RsaPrivateKey,
}

/// As it is kept.
#[derive(Serialize, Deserialize)]
struct KeptKey {
    created_at: i64,
    /// PKCS #1, DER, in hex.
    private_key: String,
}

/// The key pairs of a server.
#[derive(Debug, Clone)]
pub struct Keyring {
    store: Store,
    keys: Arc<Mutex<Option<Vec<SigningKey>>>>,
}

impl Keyring {
    /// The keys in a folder; read when they are first used.
    #[must_use]
    pub fn new(store: Store) -> Keyring {
        Keyring { store, keys: Arc::default() }
    }

    /// The pair that signs at a time (seconds since the epoch); made when there is none, or the last is too old. Reads and writes files.
    ///
    /// # Errors
    /// When the keys cannot be read or kept.
    pub fn signing(&self, now: i64) -> Result<SigningKey> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let mut known = self.loaded(&mut keys)?;
        if let Some(key) = known.last().filter(|key| now <= key.public.valid_from.saturating_add(DAY).saturating_add(SIGNS)) {
            return Ok(key.clone());
        }
        let private = RsaPrivateKey::new(&mut OsRng, BITS).map_err(|e| Error::invalid("no key can be made").because(e))?;
        let key = SigningKey::new(private, now)?;
        known.push(key.clone());
        self.keep(&known)?;
        *keys = Some(known);
        Ok(key)
    }

    /// The public halves of the keys of which there may be digests between two times (seconds since the epoch), the oldest first. Reads files.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn public(&self, from: i64, to: i64) -> Result<Vec<PublicKey>> {
        let mut keys = self.keys.lock().unwrap_or_else(PoisonError::into_inner);
        let known = self.loaded(&mut keys)?;
        *keys = Some(known.clone());
        let public = known.into_iter().map(|key| key.public);
        Ok(public.filter(|key| key.valid_from <= to && from <= key.valid_until).collect())
    }

    fn loaded(&self, keys: &mut Option<Vec<SigningKey>>) -> Result<Vec<SigningKey>> {
        if let Some(known) = keys {
            return Ok(known.clone());
        }
        let Some(json) = self.store.read_sealed(FILE)? else { return Ok(Vec::new()) };
        let corrupt = || Error::corrupt("the keys of the digests cannot be read").in_file(FILE);
        let kept: Vec<KeptKey> = serde_json::from_slice(&json).map_err(|e| corrupt().because(e))?;
        let read = |kept: &KeptKey| {
            let der = from_hex(&kept.private_key).ok_or_else(corrupt)?;
            SigningKey::new(RsaPrivateKey::from_pkcs1_der(&der).map_err(|e| corrupt().because(e))?, kept.created_at)
        };
        kept.iter().map(read).collect()
    }

    fn keep(&self, keys: &[SigningKey]) -> Result<()> {
        let unwritable = || Error::invalid("a key cannot be written");
        let kept = |key: &SigningKey| {
            let der = key.private.to_pkcs1_der().map_err(|e| unwritable().because(e))?;
            Ok(KeptKey { created_at: key.public.valid_from.saturating_add(DAY), private_key: hex(der.as_bytes()) })
        };
        let kept = keys.iter().map(kept).collect::<Result<Vec<_>>>()?;
        self.store.write_sealed(FILE, &serde_json::to_vec(&kept).map_err(|e| unwritable().because(e))?)
    }
}

impl SigningKey {
    fn new(private: RsaPrivateKey, created_at: i64) -> Result<SigningKey> {
        let der = private.to_public_key().to_pkcs1_der().map_err(|e| Error::invalid("a key cannot be written").because(e))?;
        let der = der.as_bytes().to_vec();
        // The first digest of a key may begin before the key was made.
        let (valid_from, valid_until) = (created_at.saturating_sub(DAY), created_at.saturating_add(SIGNS + DAY));
        Ok(SigningKey { public: PublicKey { fingerprint: hex(&Md5::digest(&der)), der, valid_from, valid_until }, private })
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
}

/// Without the private half.
impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.public.fingerprint).finish()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |hex, byte| hex + &format!("{byte:02x}"))
}

fn from_hex(text: &str) -> Option<Vec<u8>> {
    let pair = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    text.as_bytes().chunks(2).map(pair).collect()
}

#[cfg(test)]
mod tests {
    use rsa::pkcs1::DecodeRsaPublicKey as _;
    use rsa::sha2::Digest as _;
    use trail_engine::storage::FileStorage;

    use super::*;

    #[test]
    fn a_key_is_kept_signs_for_a_year_and_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let store = || Store::new(Arc::new(FileStorage::open(directory.path()).unwrap()));
        let start = 1_795_000_000;
        let first = Keyring::new(store()).signing(start).unwrap();
        let again = Keyring::new(store());
        assert_eq!(again.signing(start + SIGNS).unwrap().public, first.public);
        let second = again.signing(start + SIGNS + 1).unwrap();
        assert_ne!(second.public, first.public);
        drop(again);
        let keys = Keyring::new(store());
        assert_eq!(keys.public(start, start + 2 * SIGNS).unwrap(), [first.public.clone(), second.public.clone()]);
        assert_eq!(keys.public(start - 9 * DAY, start).unwrap(), std::slice::from_ref(&first.public));
        assert!(keys.public(start - 9 * DAY, start - 5 * DAY).unwrap().is_empty());
        let public = rsa::RsaPublicKey::from_pkcs1_der(&first.public.der).unwrap();
        let signature = first.sign(b"signed").unwrap();
        public.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(b"signed"), &signature).unwrap();
        assert!(public.verify(Pkcs1v15Sign::new::<Sha256>(), &Sha256::digest(b"forged"), &signature).is_err());
        assert!(!format!("{first:?}").contains("private"));
        drop(keys);
        // Another key for the old digests is never made in silence.
        let path = directory.path().join(FILE);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes[40] ^= 1;
        std::fs::write(&path, bytes).unwrap();
        assert_eq!(Keyring::new(store()).signing(start).unwrap_err().kind(), trail_engine::ErrorKind::Corrupt);
    }
}
