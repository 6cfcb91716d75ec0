//! Keys, keyed digests, and comparing secrets: by aws-lc-rs, which TLS uses as well.

use aws_lc_rs::{constant_time, hmac, rand};

/// A random key: 32 bytes as hex.
pub fn new_key() -> String {
    let mut key = [0; 32];
    rand::fill(&mut key).expect("the system has a source of randomness");
    hex::encode(key)
}

/// HMAC-SHA256 under one key.
pub struct Mac(hmac::Key);

impl Mac {
    pub fn new(key: &[u8]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    pub fn of(&self, text: &str) -> [u8; 32] {
        let mut digest = [0; 32];
        digest.copy_from_slice(hmac::sign(&self.0, text.as_bytes()).as_ref());
        digest
    }
}

/// Compares two secrets in a time that does not tell where they differ.
pub fn is_same(one: &str, other: &str) -> bool {
    constant_time::verify_slices_are_equal(one.as_bytes(), other.as_bytes()).is_ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Databases hold such digests: they have to stay what they are. RFC 4231, test cases 2 and 6.
    #[test]
    fn digests_are_those_of_hmac_sha256() {
        assert_eq!(
            hex::encode(Mac::new(b"Jefe").of("what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        assert_eq!(
            hex::encode(Mac::new(&[0xaa; 131]).of("Test Using Larger Than Block-Size Key - Hash Key First")),
            "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"
        );
    }

    #[test]
    fn keys_differ_and_have_256_bits() {
        let keys = [new_key(), new_key()];
        assert!(keys[0] != keys[1] && keys.iter().all(|key| hex::decode(key).unwrap().len() == 32));
    }

    #[test]
    fn only_the_same_text_is_the_same() {
        assert!(is_same("secret", "secret"));
        assert!(!is_same("secret", "secreT") && !is_same("secret", "secre") && !is_same("", "x"));
    }
}
