//! SCRAM (RFC 5802, RFC 7677): a login that shows that both sides know a password, without telling it.
//!
//! Limits: no channel binding; user and password are taken as they are, which is right for ASCII (SASLprep would fold other characters).

use std::num::NonZeroU32;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ring::{digest, hmac, pbkdf2};

/// The most rounds that a server may ask for: brokers keep 4,096 to 16,384.
const ROUNDS_MAX: u32 = 65_536;

/// With which sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sum {
    /// SHA-256.
    Sha256,
    /// SHA-512.
    Sha512,
}

impl Sum {
    fn hmac(self, key: &[u8], text: &[u8]) -> Vec<u8> {
        let algorithm = if self == Sum::Sha256 { hmac::HMAC_SHA256 } else { hmac::HMAC_SHA512 };
        hmac::sign(&hmac::Key::new(algorithm, key), text).as_ref().to_vec()
    }

    fn hash(self, text: &[u8]) -> Vec<u8> {
        let algorithm = if self == Sum::Sha256 { &digest::SHA256 } else { &digest::SHA512 };
        digest::digest(algorithm, text).as_ref().to_vec()
    }

    fn salted(self, password: &str, salt: &[u8], rounds: NonZeroU32) -> Vec<u8> {
        let (algorithm, length) = if self == Sum::Sha256 { (pbkdf2::PBKDF2_HMAC_SHA256, 32) } else { (pbkdf2::PBKDF2_HMAC_SHA512, 64) };
        let mut out = vec![0; length];
        pbkdf2::derive(algorithm, rounds, salt, password.as_bytes(), &mut out);
        out
    }
}

/// The first message without its head, for a user and a number that is used once.
#[must_use]
pub fn first(user: &str, nonce: &str) -> String {
    format!("n={},r={nonce}", user.replace('=', "=3D").replace(',', "=2C"))
}

/// The last message, and the answer that only who knows the password can give; from what the server said to [`first`].
///
/// # Errors
/// What is wrong with what it said.
pub fn last(sum: Sum, password: &str, first: &str, nonce: &str, said: &str) -> Result<(String, String), String> {
    let part =
        |name: &str| said.split(',').find_map(|part| part.strip_prefix(name)?.strip_prefix('=')).ok_or(format!("`{name}` is missing"));
    let (both, salt, rounds) = (part("r")?, part("s")?, part("i")?);
    if !both.starts_with(nonce) || both.len() == nonce.len() {
        return Err("its number does not go on from ours".into());
    }
    let salt = STANDARD.decode(salt).map_err(|_| "its salt is none".to_owned())?;
    let rounds = rounds.parse().ok().filter(|rounds: &NonZeroU32| rounds.get() <= ROUNDS_MAX).ok_or("its number of rounds is none")?;
    let salted = sum.salted(password, &salt, rounds);
    let client = sum.hmac(&salted, b"Client Key");
    let ending = format!("c=biws,r={both}");
    let signed = format!("{first},{said},{ending}");
    let signature = sum.hmac(&sum.hash(&client), signed.as_bytes());
    let proof: Vec<u8> = client.iter().zip(&signature).map(|(key, mask)| key ^ mask).collect();
    let expected = sum.hmac(&sum.hmac(&salted, b"Server Key"), signed.as_bytes());
    Ok((format!("{ending},p={}", STANDARD.encode(proof)), format!("v={}", STANDARD.encode(expected))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_rfc_holds() {
        // RFC 7677, section 3.
        let nonce = "rOprNGfwEbeRWgbNEkqO";
        let said = "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let first = first("user", nonce);
        assert_eq!(first, format!("n=user,r={nonce}"));
        let (last, expected) = last(Sum::Sha256, "pencil", &first, nonce, said).unwrap();
        let wanted = "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=";
        assert_eq!((&*last, &*expected), (wanted, "v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4="));
    }

    #[test]
    fn what_a_server_must_not_say_is_refused() {
        for said in [
            "",
            "e=unknown-user",
            "r=other,s=AAAA,i=4096",
            "r=mine,s=AAAA,i=4096",
            "r=mine1,s=*,i=4096",
            "r=mine1,s=AAAA,i=0",
            "r=mine1,s=AAAA,i=99999999",
            "r=mine1,s=AAAA",
        ] {
            assert!(last(Sum::Sha512, "p", "n=u,r=mine", "mine", said).is_err(), "{said}");
        }
        assert!(last(Sum::Sha512, "p", "n=u,r=mine", "mine", "r=mine1,s=AAAA,i=4096").is_ok());
        assert_eq!(first("a=b,c", "x"), "n=a=3Db=2Cc,r=x");
    }
}
