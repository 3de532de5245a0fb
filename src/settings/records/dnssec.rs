//! What DNSSEC validation goes by.

use jiff::Timestamp;
use lanward_dns::TrustAnchors;
use serde::{Serialize, Serializer};
use serde_json::Value;

use super::word;
use crate::settings::fields::{Read, Wrong, shown};
use crate::settings::words::Name;

/// Whether answers are validated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DnssecMode(pub lanward_dns::DnssecMode);

const MODES: [(&str, lanward_dns::DnssecMode); 3] = [
    ("validate", lanward_dns::DnssecMode::Validate),
    ("strict", lanward_dns::DnssecMode::Strict),
    ("off", lanward_dns::DnssecMode::Off),
];

/// A name that is not validated, with all below it (RFC 7646); written `"broken.example"` or
/// `{ name = "broken.example", until = "2026-12-01T00:00:00Z" }`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exemption {
    /// The name.
    pub name: Name,
    /// When it ends by itself.
    pub until: Option<Timestamp>,
}

/// A key to trust, as a DNSKEY record in the format of zone files.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrustAnchor(pub String);

impl Read for DnssecMode {
    fn read(value: &Value) -> Result<DnssecMode, Wrong> {
        let words = MODES.map(|(word, _)| word);
        let found = word(value, "a way to treat DNSSEC", &words)?;
        let mode = MODES.iter().find(|(word, _)| *word == found).map(|(_, mode)| *mode);
        Ok(DnssecMode(mode.unwrap_or_default()))
    }
}

impl Serialize for DnssecMode {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let word = MODES.iter().find(|(_, mode)| *mode == self.0).map(|(word, _)| *word);
        to.serialize_str(word.unwrap_or("validate"))
    }
}

impl Read for Exemption {
    fn read(value: &Value) -> Result<Exemption, Wrong> {
        let Value::Object(fields) = value else {
            return Ok(Exemption { name: Name::read(value)?, until: None });
        };
        let fix = "Write { name = \"broken.example\", until = \"2026-12-01T00:00:00Z\" }.";
        if let Some(other) = fields.keys().find(|key| !["name", "until"].contains(&key.as_str())) {
            return Err(Wrong::new(format!("`{other}` is not known here."), fix));
        }
        let Some(name) = fields.get("name") else {
            return Err(Wrong::new("`name` is missing.", fix));
        };
        let until = fields.get("until").filter(|until| !until.is_null());
        Ok(Exemption { name: Name::read(name)?, until: until.map(Timestamp::read).transpose()? })
    }
}

impl Serialize for Exemption {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let Some(until) = self.until else { return self.name.serialize(to) };
        let mut map = to.serialize_map(Some(2))?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("until", &until.to_string())?;
        map.end()
    }
}

impl Read for TrustAnchor {
    fn read(value: &Value) -> Result<TrustAnchor, Wrong> {
        let text = value.as_str().unwrap_or_default().trim();
        match TrustAnchors::parse(text) {
            Ok(_) => Ok(TrustAnchor(text.to_owned())),
            Err(why) => Err(Wrong::new(
                format!("{} is not a trust anchor: {why}.", shown(value)),
                "Write a DNSKEY record, such as \". IN DNSKEY 257 3 8 AwEAA...\".",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for mode in ["validate", "strict", "off"] {
            let read = DnssecMode::read(&json!(mode)).expect(mode);
            assert_eq!(serde_json::to_value(read).expect("json"), json!(mode));
        }
        let anchor = ". IN DNSKEY 257 3 15 l02Woi0iS8Aa25FQkUd9RMzZHJpBoRQwAQEX1SxZJA4=";
        assert_eq!(TrustAnchor::read(&json!(anchor)), Ok(TrustAnchor(anchor.to_owned())));
        let exemptions = [
            json!("broken.example"),
            json!({ "name": "broken.example", "until": "2026-12-01T00:00:00Z" }),
        ];
        for written in exemptions {
            let read = Exemption::read(&written).expect("an exemption");
            assert_eq!(serde_json::to_value(&read).expect("json"), written);
        }
    }

    #[test]
    fn mistakes_are_told_with_their_fix() {
        let fix = |wrong: Wrong| format!("{} {}", wrong.message, wrong.fix);
        let mode = DnssecMode::read(&json!("of")).expect_err("no word");
        assert_eq!(mode.fix, "Did you mean \"off\"?");
        for (value, said) in [
            (json!({ "until": "2026-12-01T00:00:00Z" }), "`name` is missing."),
            (json!({ "name": "a.example", "til": "x" }), "`til` is not known here."),
            (json!({ "name": "a.example", "until": "soon" }), "is not a time."),
        ] {
            let told = fix(Exemption::read(&value).expect_err("wrong"));
            assert!(told.contains(said), "{told}");
        }
        let told = fix(TrustAnchor::read(&json!(". IN DS 20326 8 2 E06D")).expect_err("a DS"));
        assert!(told.contains("not a DNSKEY record"), "{told}");
    }
}
