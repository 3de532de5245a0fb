//! Numbers of bytes.

use std::fmt;

use serde_json::Value;

use crate::settings::fields::{Read, Wrong, shown};

/// A number of bytes, written `512KiB`, `32MiB` or `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Size(pub u64);

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shift, unit) = match self.0.trailing_zeros() {
            30.. => (30, "GiB"),
            20..30 => (20, "MiB"),
            _ => (10, "KiB"),
        };
        write!(f, "{}{unit}", self.0 >> shift)
    }
}

impl Read for Size {
    fn read(value: &Value) -> Result<Size, Wrong> {
        let text = value.as_str().unwrap_or_default().trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let shift = match text[digits..].trim() {
            "KiB" => Some(10),
            "MiB" => Some(20),
            "GiB" => Some(30),
            _ => None,
        };
        let number: Option<u64> = text[..digits].parse().ok();
        number
            .zip(shift)
            .and_then(|(number, shift)| number.checked_mul(1 << shift))
            .filter(|bytes| *bytes <= 1 << 40)
            .map(Size)
            .ok_or_else(|| {
                Wrong::new(
                    format!("{} is not a size.", shown(value)),
                    "Write it such as \"32MiB\"; there are KiB, MiB and GiB.",
                )
            })
    }
}
