//! Which name the filter is asked about when somebody asks for one: its own, none, or the one that an
//! alias of the house leads to.

use lanward_dns::LocalNames;

use crate::settings::Effective;
use crate::settings::effective::NamedRecord;
use crate::settings::records::RecordData;

/// What is judged of a name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Judged {
    /// The name that lists and rules are asked about.
    pub(super) name: String,
    /// Why nobody asks them, as a sentence.
    pub(super) exempt: Option<String>,
}

/// As the DNS does it, for clients that see the records for everybody.
pub(super) fn judged(settings: &Effective, name: &str) -> Judged {
    let mut at = name.to_owned();
    for _ in 0..=LocalNames::MAX_ALIASES {
        let of_it = || settings.records.iter().filter(|record| *record.name == *at);
        let Some(target) = of_it().find_map(|record| target(record, &settings.domain)) else {
            let exempt = match domain_of(settings, &at) {
                Some(domain) => Some(format!("It is a name of this house ({domain}).")),
                None if of_it().next().is_some() => {
                    Some("It has a record of this house.".to_owned())
                }
                None => None,
            };
            let name = if exempt.is_some() { name.to_owned() } else { at };
            return Judged { name, exempt };
        };
        at = target;
    }
    Judged { name: name.to_owned(), exempt: Some("Its aliases lead nowhere.".to_owned()) }
}

fn target(record: &NamedRecord, domain: &str) -> Option<String> {
    match &record.data {
        RecordData::Cname(target) if record.networks.is_empty() => Some(target.in_domain(domain)),
        _ => None,
    }
}

/// The domain of the household that a name is in.
fn domain_of<'s>(settings: &'s Effective, name: &str) -> Option<&'s str> {
    let domains = settings.networks.iter().map(|network| &*network.domain);
    std::iter::once(&*settings.domain).chain(domains).find(|domain| {
        name.strip_suffix(domain).is_some_and(|rest| rest.is_empty() || rest.ends_with('.'))
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::settings::effective::{HostView, derive};

    #[test]
    fn an_alias_that_leads_out_of_the_house_is_judged_by_its_target() {
        let records = [
            ("network/iot", json!({"subnet": "10.0.30.0/24", "domain": "things.example"})),
            ("record/1", json!({"name": "stats", "type": "CNAME", "value": "one.example"})),
            ("record/2", json!({"name": "one.example", "type": "CNAME", "value": "x.ads.example"})),
            ("record/3", json!({"name": "also", "type": "CNAME", "value": "tv"})),
            ("record/4", json!({"name": "shop.example", "type": "A", "value": "10.0.0.9"})),
        ];
        let records = records.into_iter().map(|(key, value)| (key.to_owned(), value.to_string()));
        let settings = derive(&records.collect(), &HostView::default());
        assert_eq!(settings.problems, []);
        for (asked, name, exempt) in [
            ("stats.home.arpa", "x.ads.example", false),
            ("one.example", "x.ads.example", false),
            ("www.example", "www.example", false),
            ("nothome.arpa", "nothome.arpa", false),
            ("also.home.arpa", "also.home.arpa", true),
            ("tv.home.arpa", "tv.home.arpa", true),
            ("home.arpa", "home.arpa", true),
            ("tv.things.example", "tv.things.example", true),
            ("shop.example", "shop.example", true),
        ] {
            let judged = judged(&settings, asked);
            assert_eq!((judged.name.as_str(), judged.exempt.is_some()), (name, exempt), "{asked}");
        }
    }
}
