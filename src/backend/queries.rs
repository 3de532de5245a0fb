//! The history of questions and what it comes to, of both hosts.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use jiff::Timestamp;
use lanward_dhcp::HwAddr;
use lanward_dns::Answered;
use lanward_web::view::{
    ClientTally, EditError, FieldError, ForgetOrder, Forgotten, QueriesAnswer, QueriesQuestion,
    QueryFilter, QueryRow, QueryRule, StatisticsView, Step, Tally, UpstreamTally,
};

use super::{Daemon, leases};
use crate::control::Reading;
use crate::history::partner::{MOST, What};
use crate::history::{
    Filter, Forget, Histogram, History, Page, Row, Seq, Span, Sums, Term, merge, merge_steps,
    steps, words,
};
use crate::settings::fields::Read;
use crate::settings::words::{Id, Mac, Name};

/// Rows in one answer, unless somebody asks for another number.
const LIMIT: usize = 100;
/// Lines of each table of the statistics.
const TOP: usize = 20;
/// The longest time statistics are made for, hours.
const MOST_HOURS: u32 = 24 * 366;

/// Who is who in the house.
struct House {
    /// This host.
    host: String,
    devices: Vec<(IpAddr, Option<HwAddr>, Option<String>)>,
    networks: Vec<(String, Vec<IpNet>)>,
}

impl House {
    fn of(reading: &Reading<'_>) -> House {
        let rows = leases::rows(reading).into_iter();
        let networks = reading.node.effective().networks.iter();
        House {
            host: reading.node.pair().name().to_owned(),
            devices: rows.map(|row| (row.addr.into(), row.hw, row.name)).collect(),
            networks: networks.map(|n| (n.id.to_string(), vec![n.subnet.into()])).collect(),
        }
    }

    fn names(&self) -> BTreeMap<IpAddr, String> {
        let named = self.devices.iter().filter_map(|(addr, _, name)| Some((*addr, name.clone()?)));
        named.collect()
    }

    /// The addresses of a device.
    fn device(&self, text: &str) -> Result<Vec<IpAddr>, String> {
        let text = text.trim();
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Ok(vec![addr.to_canonical()]);
        }
        let mac = Mac::read(&serde_json::Value::from(text)).ok().map(|mac| HwAddr::ethernet(mac.0));
        let is = |hw: &Option<HwAddr>, name: &Option<String>| {
            mac.is_some() && *hw == mac
                || name.as_ref().is_some_and(|name| name.eq_ignore_ascii_case(text))
        };
        let mut found: Vec<IpAddr> = self
            .devices
            .iter()
            .filter(|(_, hw, name)| is(hw, name))
            .map(|(addr, _, _)| *addr)
            .collect();
        found.dedup();
        match found.is_empty() {
            true => Err(format!("No device is called “{text}”. Use its name, MAC or address.")),
            false => Ok(found),
        }
    }

    /// The filter that a filter in words means.
    fn filter(&self, words: &QueryFilter) -> Result<Filter, EditError> {
        let mut wrong = Vec::new();
        let mut read = |terms: &[(String, String)]| -> Vec<Term> {
            let read = terms.iter().filter_map(|(field, value)| match self.terms(field, value) {
                Ok(terms) => Some(terms),
                Err(message) => {
                    let known = QueryFilter::FIELDS.iter().find(|known| **known == *field);
                    let field = known.copied().unwrap_or("");
                    wrong.push(FieldError { field, message });
                    None
                }
            });
            read.flatten().collect()
        };
        let (include, exclude) = (read(&words.include), read(&words.exclude));
        if !wrong.is_empty() {
            return Err(EditError::Fields(wrong));
        }
        Ok(Filter { include, exclude, from_ms: words.from_ms, to_ms: words.to_ms })
    }

    fn terms(&self, field: &str, value: &str) -> Result<Vec<Term>, String> {
        let one = |term| Ok(vec![term]);
        let word = |known: Vec<&str>, term: fn(String) -> Term| match known.contains(&value) {
            true => one(term(value.to_owned())),
            false => Err(format!("“{value}” is none of: {}.", known.join(", "))),
        };
        match field {
            "device" => one(Term::Device(self.device(value)?)),
            "network" => {
                if let Ok(net) = value.parse() {
                    return one(Term::Network(net));
                }
                let found = self.networks.iter().find(|(id, _)| id == value);
                let (_, nets) = found.ok_or_else(|| format!("There is no network “{value}”."))?;
                Ok(nets.iter().copied().map(Term::Network).collect())
            }
            "name" if value.trim().is_empty() => Err("Write a part of a name.".to_owned()),
            "name" => one(Term::Name(value.trim().to_ascii_lowercase())),
            "domain" => one(Term::Suffix(domain(value)?)),
            "type" => words::type_number(value)
                .map(|number| vec![Term::Type(number)])
                .ok_or_else(|| format!("“{value}” is not a type: write A, AAAA or TYPE65.")),
            "rcode" => words::rcode_number(value)
                .map(|number| vec![Term::Rcode(number)])
                .ok_or_else(|| format!("“{value}” is not a response code: write NXDOMAIN or 3.")),
            "verdict" => {
                let all = Answered::ALL.into_iter().filter(|how| *how != Answered::SelfTest);
                let known = all.map(Answered::as_str).chain(["allowed"]);
                word(known.collect(), Term::Verdict)
            }
            "transport" => {
                let known = lanward_dns::Transport::ALL.iter().map(|own| own.as_str());
                word(known.collect(), Term::Transport)
            }
            "dnssec" => {
                let known = lanward_dns::DnssecOutcome::ALL.iter().map(|own| own.as_str());
                word(known.collect(), Term::Dnssec)
            }
            "list" => one(Term::List(value.to_owned())),
            "upstream" => one(Term::Upstream(value.to_owned())),
            "policy" => match Id::parse(value) {
                Ok(_) => one(Term::Policy(value.to_owned())),
                Err(_) => Err(format!("“{value}” is not the id of a policy.")),
            },
            other => Err(format!(
                "“{other}” is no field. There are: {}.",
                QueryFilter::FIELDS.join(", ")
            )),
        }
    }
}

fn domain(value: &str) -> Result<String, String> {
    let name = Name::parse(value).map_err(|wrong| format!("{} {}", wrong.message, wrong.fix))?;
    Ok(name.to_string())
}

/// Places on the hosts, as one text: `pi-a:123,pi-b:456`.
fn places(text: &str) -> Option<BTreeMap<String, Seq>> {
    let place = |text: &str| {
        let (host, seq) = text.rsplit_once(':')?;
        Some((host.to_owned(), Seq(seq.parse().ok()?)))
    };
    text.split(',').filter(|text| !text.is_empty()).map(place).collect()
}

impl Daemon {
    fn kept_history(&self) -> Result<&History, EditError> {
        let why = "This host keeps no history: its log says why.";
        let history = self.parts.history.as_ref();
        history.ok_or_else(|| lanward_web::view::Unavailable(why.to_owned()).into())
    }

    pub(super) async fn history_page(
        &self,
        question: QueriesQuestion,
    ) -> Result<QueriesAnswer, EditError> {
        let history = self.kept_history()?.clone();
        let house = self.read(House::of).await?;
        let filter = house.filter(&question.filter)?;
        let number = |text: &str| text.parse().map(Seq);
        let before = question.before.as_deref().map(number).transpose();
        let before = before.map_err(|_| EditError::field("before", "That is no such place."))?;
        let after = question.after.as_deref().map_or(Some(BTreeMap::new()), places);
        let after = after.ok_or_else(|| EditError::field("after", "That is no such place."))?;
        let limit = question.limit.unwrap_or(LIMIT).clamp(1, MOST);
        let own = {
            let (filter, after) = (filter.clone(), after.get(&house.host).copied());
            let history = history.clone();
            let page = move || history.page(&filter, after, before, limit);
            tokio::task::spawn_blocking(page)
        };
        // The other host has its own place to go on from; one that was not there has none.
        let partner = self.parts.partner_history.clone();
        let theirs = {
            let other = after.iter().find(|(host, _)| **host != house.host);
            let after = other.map(|(_, seq)| *seq).or_else(|| after.values().copied().max());
            partner.ask(What::AskPage { filter, after, before, limit }).await
        };
        let own = own.await.map_err(|_| unreadable("the reading was cut short"))?;
        let own = own.map_err(|error| unreadable(&error.to_string()))?;
        let mut answer = QueriesAnswer {
            level: history.settings().level.as_str().to_owned(),
            missing: damaged(&house.host, &own),
            ..QueriesAnswer::default()
        };
        let mut hosts = vec![house.host.clone()];
        let mut pages = vec![own];
        match theirs {
            Ok(None) => {}
            Ok(Some((name, What::Page(page)))) => {
                let page = Page::from(page);
                answer.missing.extend(damaged(&name, &page));
                hosts.push(name);
                pages.push(page);
            }
            Ok(Some((name, _))) => answer.missing.push(format!("{name} does not understand.")),
            Err(why) => answer.missing.push(why),
        }
        let quiet = Seq::at_ms((self.parts.now)().as_millisecond() - 3000);
        let newest = hosts.iter().zip(&pages).map(|(host, page)| {
            let known = after.get(host).copied();
            let seen = page.rows.iter().map(|row| row.seq).max();
            let seq = known.max(seen).unwrap_or(quiet);
            format!("{host}:{}", seq.0)
        });
        answer.newest = newest.collect::<Vec<_>>().join(",");
        let merged = merge(pages, limit);
        let names = house.names();
        answer.queries =
            merged.rows.into_iter().map(|(host, row)| shown(&hosts[host], &row, &names)).collect();
        answer.next = merged.next.map(|seq| seq.0.to_string());
        answer.cut = merged.cut;
        Ok(answer)
    }

    pub(super) async fn history_statistics(&self, hours: u32) -> Result<StatisticsView, EditError> {
        let history = self.kept_history()?.clone();
        let hours = hours.clamp(1, MOST_HOURS);
        let house = self.read(House::of).await?;
        let level = history.settings().level.as_str().to_owned();
        let own = tokio::task::spawn_blocking(move || history.statistics(hours));
        let theirs = self.parts.partner_history.ask(What::AskSums { hours }).await;
        let own = own.await.map_err(|_| unreadable("the reading was cut short"))?;
        let own = own.map_err(|error| unreadable(&error.to_string()))?;
        let (mut sums, mut series) = (own.sums, steps(&own.minutes));
        let mut missing = Vec::new();
        match theirs {
            Ok(None) => {}
            Ok(Some((_, What::Sums(theirs)))) => {
                let (theirs, their_steps) = theirs.read();
                sums.merge(&theirs);
                series = merge_steps(series, &their_steps);
            }
            Ok(Some((name, _))) => missing.push(format!("{name} does not understand.")),
            Err(why) => missing.push(why),
        }
        let mut view = view(&sums, &house.names());
        view.since = Timestamp::from_millisecond(own.from_ms).unwrap_or_default();
        view.series = series
            .into_iter()
            .map(|step| Step {
                at: Timestamp::from_second(step.at.saturating_mul(300)).unwrap_or_default(),
                blocked: step.blocked,
                at_once: step.at_once,
                forwarded: step.forwarded,
            })
            .collect();
        (view.missing, view.level) = (missing, level);
        Ok(view)
    }

    pub(super) async fn history_forget(
        &self,
        order: ForgetOrder,
        span: Span,
    ) -> Result<Forgotten, EditError> {
        let history = self.kept_history()?.clone();
        let house = self.read(House::of).await?;
        let wanted = match order {
            ForgetOrder::Device(text) => {
                let found = house.device(&text);
                Forget::Clients(found.map_err(|why| EditError::field("device", why))?)
            }
            ForgetOrder::Domain(text) => {
                Forget::Domain(domain(&text).map_err(|why| EditError::field("domain", why))?)
            }
            ForgetOrder::Everything => Forget::Everything,
        };
        let (own, theirs) = (history, self.parts.partner_history.clone());
        let here = wanted.clone();
        let own = tokio::task::spawn_blocking(move || own.forget(here, span));
        let asked = match span == Span::ALL {
            true => What::AskForget(wanted),
            false => What::AskForgetWithin(wanted, span),
        };
        let theirs = theirs.ask(asked).await;
        let own = own.await.map_err(|_| unreadable("it was cut short"))?;
        let mut forgotten = Forgotten::default();
        match own {
            Ok(rows) => forgotten.queries = rows as u64,
            Err(why) => forgotten.missing.push(format!("{}: {why}", house.host)),
        }
        match theirs {
            Ok(None) => {}
            Ok(Some((_, What::Forgotten(rows)))) => forgotten.queries += rows as u64,
            Ok(Some((name, _))) => forgotten.missing.push(format!("{name} does not understand.")),
            Err(why) => forgotten.missing.push(why),
        }
        Ok(forgotten)
    }
}

fn unreadable(why: &str) -> EditError {
    lanward_web::view::Unavailable(format!("{why}.")).into()
}

fn damaged(host: &str, page: &Page) -> Vec<String> {
    let days = page.unreadable.iter();
    days.map(|day| format!("{host} cannot read its history of {day}: the file is damaged."))
        .collect()
}

fn millis(us: u32) -> f64 {
    f64::from(us) / 1000.0
}

fn shown(host: &str, row: &Row, names: &BTreeMap<IpAddr, String>) -> QueryRow {
    let answer = &*row.answer;
    QueryRow {
        at: row.seq.at(),
        host: host.to_owned(),
        client: row.client.map(|client| client.to_string()),
        device: row.client.and_then(|client| names.get(&client).cloned()),
        name: row.name.as_deref().map(str::to_owned),
        qtype: words::type_name(answer.qtype),
        verdict: answer.how.as_str().to_owned(),
        rcode: words::rcode_name(answer.rcode),
        transport: answer.transport.as_str().to_owned(),
        dnssec: answer.dnssec.as_str().to_owned(),
        policy: answer.policy.to_string(),
        upstream: answer.upstream.as_deref().map(str::to_owned),
        rule: answer.rule.as_ref().map(|rule| QueryRule {
            allowed: rule.allowed,
            list: rule.list.to_string(),
            rule: rule.rule.as_deref().map(str::to_owned),
            target: rule.target.as_deref().map(str::to_owned),
        }),
        took_ms: row.took_us.map(millis),
    }
}

fn tallies(counts: impl IntoIterator<Item = (String, u64)>) -> Vec<Tally> {
    let mut all: Vec<Tally> =
        counts.into_iter().map(|(name, count)| Tally { name, count }).collect();
    all.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.name.cmp(&b.name)));
    all
}

fn percentiles(histogram: &Histogram) -> [Option<f64>; 3] {
    [0.5, 0.9, 0.99].map(|share| histogram.percentile_us(share).map(millis))
}

fn view(sums: &Sums, names: &BTreeMap<IpAddr, String>) -> StatisticsView {
    let clients = sums.top_clients(TOP).into_iter().map(|(client, count)| ClientTally {
        client: client.to_string(),
        device: names.get(&client).cloned(),
        count: count.all,
        blocked: count.blocked,
    });
    let names = |top: Vec<(std::sync::Arc<str>, u64)>| {
        tallies(top.into_iter().map(|(name, n)| (name.to_string(), n)))
    };
    StatisticsView {
        queries: sums.all(),
        blocked: sums.how.get(&Answered::Blocked).copied().unwrap_or(0),
        verdicts: tallies(sums.how.iter().map(|(how, n)| (how.as_str().to_owned(), *n))),
        domains: names(sums.top_names(TOP)),
        blocked_domains: names(sums.top_blocked(TOP)),
        clients: clients.collect(),
        types: tallies(sums.types.iter().map(|(qtype, n)| (words::type_name(*qtype), *n))),
        lists: tallies(sums.lists.iter().map(|(list, n)| (list.to_string(), *n))),
        latency_ms: percentiles(&sums.latency),
        upstreams: sums
            .upstreams
            .iter()
            .map(|(name, own)| UpstreamTally {
                name: name.to_string(),
                count: own.all(),
                latency_ms: percentiles(own),
            })
            .collect(),
        ..StatisticsView::default()
    }
}
