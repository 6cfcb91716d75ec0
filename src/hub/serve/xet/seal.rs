//! Sealed texts: what we hand out to get back, readable and makeable by this installation
//! only (AES-256-GCM). The purpose is sealed in, so that one kind is never taken for another.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::crypto::Mac;
use crate::hub::{Error, Result};

pub(super) struct Seal {
    cipher: RandomizedNonceKey,
    names: Mac,
}

impl Seal {
    /// From the installation's key; both uses get a key of their own.
    pub(super) fn new(key: &str) -> Result<Self> {
        let master = Mac::new(key.as_bytes());
        Ok(Self {
            cipher: RandomizedNonceKey::new(&AES_256_GCM, &master.of("xet seal")).map_err(Error::internal)?,
            names: Mac::new(&master.of("xet names")),
        })
    }

    pub(super) fn seal(&self, purpose: &str, value: &impl Serialize) -> Result<String> {
        let mut text = serde_json::to_vec(value).map_err(Error::internal)?;
        let nonce = self.cipher.seal_in_place_append_tag(Aad::from(purpose), &mut text).map_err(Error::internal)?;
        text.extend_from_slice(nonce.as_ref());
        Ok(URL_SAFE_NO_PAD.encode(text))
    }

    /// `None`: not made here, for something else, or changed.
    pub(super) fn open<T: DeserializeOwned>(&self, purpose: &str, sealed: &str) -> Option<T> {
        let mut text = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let nonce = text.split_off(text.len().checked_sub(NONCE_LEN)?);
        let nonce = Nonce::try_assume_unique_for_key(&nonce).ok()?;
        let plain = self.cipher.open_in_place(nonce, Aad::from(purpose), &mut text).ok()?;
        serde_json::from_slice(plain).ok()
    }

    /// A name that is the same whenever it is asked for, and that nobody else can make.
    pub(super) fn name(&self, of: &str) -> String {
        hex::encode(self.names.of(of))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sealed_here_for_this_purpose_opens() {
        let (ours, other) = (Seal::new("one").unwrap(), Seal::new("two").unwrap());
        let sealed = ours.seal("token", &("secret", 7)).unwrap();
        assert!(!sealed.contains("secret"));
        assert_eq!(ours.open("token", &sealed), Some(("secret".to_owned(), 7)));
        assert_eq!(ours.open::<(String, i32)>("url", &sealed), None);
        assert_eq!(other.open::<(String, i32)>("token", &sealed), None);
        for cut in 0..sealed.len() {
            assert_eq!(ours.open::<(String, i32)>("token", &sealed[..cut]), None);
        }
        assert_ne!(ours.seal("token", &("secret", 7)).unwrap(), sealed, "two seals of one text differ");
        assert_eq!((ours.name("x") == ours.name("x"), ours.name("x") == other.name("x")), (true, false));
    }
}
