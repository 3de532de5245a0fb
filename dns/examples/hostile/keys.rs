//! Keys that share a tag, and signatures that fit none of them.
//!
//! None needs a private half: what matters is that a verifier has to do all of its work to see that a
//! signature is wrong. So points are on their curves, numbers are within their bounds, and an RSA
//! exponent is the largest that ring takes.

use std::error::Error;

use hickory_proto::dnssec::crypto::{EcdsaSigningKey, Ed25519SigningKey};
use hickory_proto::dnssec::rdata::DNSKEY;
use hickory_proto::dnssec::{Algorithm, PublicKeyBuf, SigningKey};

/// What keys are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Make {
    Ed25519,
    P256,
    P384,
    /// RSA with SHA-256, and so many bits.
    Rsa(usize),
}

/// 2^33 - 1, the largest that ring takes.
const EXPONENT: [u8; 5] = [1, 0xff, 0xff, 0xff, 0xff];

/// The flags of a zone's key, and those that it must not have: it is not revoked. What the other bits
/// are for is not known yet (RFC 4034, 2.1.1), but they count for the tag.
const ZONE: u16 = 0x0100;
const REVOKED: u16 = 0x0080;

impl Make {
    pub(crate) fn algorithm(self) -> Algorithm {
        match self {
            Self::Ed25519 => Algorithm::ED25519,
            Self::P256 => Algorithm::ECDSAP256SHA256,
            Self::P384 => Algorithm::ECDSAP384SHA384,
            Self::Rsa(_) => Algorithm::RSASHA256,
        }
    }

    /// So many keys, all with the same tag.
    pub(crate) fn colliding(self, count: usize) -> Result<Vec<DNSKEY>, Box<dyn Error>> {
        let first = DNSKEY::with_flags(ZONE, self.key()?);
        let tag = first.calculate_key_tag()?;
        let mut keys = vec![first];
        while keys.len() < count {
            let key = self.key()?;
            // The tag is a sum of 16-bit words, the flags among them, with what it carries added.
            let bare = DNSKEY::with_flags(ZONE, key.clone()).calculate_key_tag()?;
            let lacks = (u32::from(tag) + 0xffff - u32::from(bare)) % 0xffff;
            let flags = (u32::from(ZONE) + lacks) as u16;
            let key = DNSKEY::with_flags(flags, key);
            if flags & (ZONE | REVOKED) == ZONE && key.calculate_key_tag()? == tag {
                keys.push(key);
            }
        }
        Ok(keys)
    }

    fn key(self) -> Result<PublicKeyBuf, Box<dyn Error>> {
        Ok(match self {
            Self::Ed25519 => Ed25519SigningKey::from_pkcs8(&Ed25519SigningKey::generate_pkcs8()?)?
                .to_public_key()?,
            Self::P256 | Self::P384 => {
                let der = EcdsaSigningKey::generate_pkcs8(self.algorithm())?;
                EcdsaSigningKey::from_pkcs8(&der, self.algorithm())?.to_public_key()?
            }
            Self::Rsa(bits) => {
                let mut modulus = noise(bits / 8)?;
                if let [first, .., last] = modulus.as_mut_slice() {
                    *first = 0xff;
                    *last |= 1;
                }
                let mut bytes = vec![EXPONENT.len() as u8];
                bytes.extend_from_slice(&EXPONENT);
                bytes.extend_from_slice(&modulus);
                PublicKeyBuf::new(bytes, self.algorithm())
            }
        })
    }

    /// A signature that has to be computed with to see that it is wrong.
    pub(crate) fn wrong_signature(self) -> Result<Vec<u8>, Box<dyn Error>> {
        let len = match self {
            Self::Ed25519 | Self::P256 => 64,
            Self::P384 => 96,
            Self::Rsa(bits) => bits / 8,
        };
        let mut bytes = noise(len)?;
        // Numbers that are too large are refused unseen.
        let tops: &[(usize, u8)] = match self {
            // Little-endian, the second half below 2^252.
            Self::Ed25519 => &[(63, 0x0f)],
            Self::P256 => &[(0, 0x7f), (32, 0x7f)],
            Self::P384 => &[(0, 0x7f), (48, 0x7f)],
            Self::Rsa(_) => &[(0, 0x7f)],
        };
        for (at, mask) in tops {
            if let Some(byte) = bytes.get_mut(*at) {
                *byte &= mask;
            }
        }
        Ok(bytes)
    }
}

fn noise(len: usize) -> Result<Vec<u8>, getrandom::Error> {
    let mut bytes = vec![0; len];
    getrandom::fill(&mut bytes)?;
    Ok(bytes)
}
