//! [`Keyring`]: the key pairs with which digests are signed, one for all trails of a server at a time.
//!
//! A pair is made when the first digest is signed, and followed by another after a year or when an operator says so. All of them are in one file, `digest.keys`
//! in the folder of the trails (mode 0600), which is replaced as a whole: with the new pair in it, the old one has its public half alone. So
//! whatever happens between, one pair signs, and old digests can be checked. A pair signs only once the file with it is durable; when that failed, the old one is made durable
//! again before it goes on. Then the bytes of the old file are overwritten. Limits: a file system that writes elsewhere than it was told to, flash, and backups may have the old half still.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use trail_engine::error::{Error, ErrorKind, Result};

use crate::trails::keeping::key_pair::{KeptKey, PublicKey, SigningKey};
use crate::trails::keeping::store::Store;

const FILE: &str = "digest.keys";
/// So many keys may be there when one is asked for: the verifier wants all of them in one answer.
const KEYS_MAX: usize = 1_000;

/// All pairs.
#[derive(Debug, Default)]
struct Ring {
    /// Those whose place others took, the oldest first.
    retired: Vec<PublicKey>,
    /// The one that signs.
    signing: Option<Arc<SigningKey>>,
    /// Whether it is not known what the file holds, because it could not be replaced.
    is_unsure: bool,
}

impl Ring {
    fn public(&self) -> impl Iterator<Item = &PublicKey> {
        self.retired.iter().chain(self.signing.as_ref().map(|key| &key.public))
    }
}

/// The key pairs of a server.
#[derive(Debug, Clone)]
pub struct Keyring {
    store: Store,
    ring: Arc<Mutex<Option<Ring>>>,
}

impl Keyring {
    /// The keys in a folder; read when they are first used.
    #[must_use]
    pub fn new(store: Store) -> Keyring {
        Keyring { store, ring: Arc::default() }
    }

    /// The pair that signs at a time (seconds since the epoch); made when there is none, or the last is too old. Reads and writes files.
    ///
    /// # Errors
    /// When the keys cannot be read or kept.
    pub fn signing(&self, now: i64) -> Result<Arc<SigningKey>> {
        let mut ring = self.lock();
        let known = self.loaded(&mut ring)?;
        let Some(key) = known.signing.clone().filter(|key| key.public.signs_at(now)) else {
            return self.follow(known, SigningKey::make(now)?);
        };
        if known.is_unsure {
            self.keep(&known.retired, &key)?;
            known.is_unsure = false;
        }
        Ok(key)
    }

    /// Puts a new pair in the place of the one that signs, at a time (seconds since the epoch); all public halves then, the oldest first. Reads and
    /// writes files.
    ///
    /// # Errors
    /// `Limit` when there are as many as there may be; when the keys cannot be read or kept: then the old pair goes on.
    pub fn rotate(&self, now: i64) -> Result<Vec<PublicKey>> {
        // Digests are signed while it is computed.
        self.replace(SigningKey::make(now)?)
    }

    fn replace(&self, key: SigningKey) -> Result<Vec<PublicKey>> {
        let mut ring = self.lock();
        let known = self.loaded(&mut ring)?;
        if known.retired.len() >= KEYS_MAX {
            return Err(Error::new(ErrorKind::Limit, format!("{KEYS_MAX} keys were replaced already, as many as may be")));
        }
        self.follow(known, key)?;
        Ok(known.public().cloned().collect())
    }

    /// The public halves of the keys of which there may be digests between two times (seconds since the epoch), the oldest first. Reads files.
    ///
    /// # Errors
    /// When the keys cannot be read.
    pub fn public(&self, from: i64, to: i64) -> Result<Vec<PublicKey>> {
        let mut ring = self.lock();
        let known = self.loaded(&mut ring)?;
        Ok(known.public().filter(|key| key.valid_from() <= to && from <= key.valid_until()).cloned().collect())
    }

    fn lock(&self) -> MutexGuard<'_, Option<Ring>> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn loaded<'r>(&self, ring: &'r mut Option<Ring>) -> Result<&'r mut Ring> {
        if ring.is_none() {
            *ring = Some(self.read()?);
        }
        Ok(ring.get_or_insert_default())
    }

    fn read(&self) -> Result<Ring> {
        let Some(json) = self.store.read_sealed(FILE)? else { return Ok(Ring::default()) };
        let corrupt = || Error::corrupt("the keys of the digests cannot be read").in_file(FILE);
        let kept: Vec<KeptKey> = serde_json::from_slice(&json).map_err(|e| corrupt().because(e))?;
        let Some((last, before)) = kept.split_last() else { return Ok(Ring::default()) };
        let retired = before.iter().map(KeptKey::retired).collect::<Option<Vec<_>>>().ok_or_else(corrupt)?;
        let signing = Some(Arc::new(last.signing().ok_or_else(corrupt)?));
        Ok(Ring { retired, signing, is_unsure: false })
    }

    /// Puts a pair in the place of the one that signs: in the file first, then here.
    fn follow(&self, ring: &mut Ring, key: SigningKey) -> Result<Arc<SigningKey>> {
        let key = Arc::new(key);
        let mut retired = ring.retired.clone();
        retired.extend(ring.signing.as_ref().map(|old| old.public.retired(key.public.created_at)));
        ring.is_unsure = true;
        self.keep(&retired, &key)?;
        *ring = Ring { retired, signing: Some(key.clone()), is_unsure: false };
        Ok(key)
    }

    fn keep(&self, retired: &[PublicKey], key: &SigningKey) -> Result<()> {
        let mut kept: Vec<KeptKey> = retired.iter().map(PublicKey::kept).collect();
        kept.push(key.kept()?);
        let json = serde_json::to_vec(&kept).map_err(|e| Error::invalid("a key cannot be written").because(e))?;
        self.store.replace_secret(FILE, &json)
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
