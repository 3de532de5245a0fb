//! `lanward queries`, `lanward tail`, `lanward stats` and `lanward forget`.
#![allow(clippy::disallowed_methods, reason = "a command that waits for what comes")]

use std::process::ExitCode;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lanward_web::view::{ForgetOrder, QueriesQuestion, QueryFilter};
use serde::Deserialize;
use serde_json::Value;

use super::text::{self, Tone};
use super::{Common, Done, Failure, daemon};
use crate::admin::Request;

/// Which questions. Each option may be given several times: values of one option are
/// alternatives, all options must agree.
#[derive(Debug, Default, clap::Args)]
struct Which {
    /// Only what was blocked.
    #[arg(long, conflicts_with = "verdict")]
    blocked: bool,
    /// Asked by this device: its name, MAC or address.
    #[arg(long, value_name = "DEVICE")]
    device: Vec<String>,
    /// Asked from this network: its id, or a subnet.
    #[arg(long)]
    network: Vec<String>,
    /// The name holds this text.
    #[arg(long, value_name = "TEXT")]
    name: Vec<String>,
    /// The name is this domain, or below it.
    #[arg(long)]
    domain: Vec<String>,
    /// Of this type.
    #[arg(long = "type", value_name = "TYPE")]
    qtype: Vec<String>,
    /// Answered so: blocked, allowed, cached, forwarded, local, special, stale, failed, refused.
    #[arg(long)]
    verdict: Vec<String>,
    /// Decided by a rule of this list.
    #[arg(long)]
    list: Vec<String>,
    /// Answered by this upstream.
    #[arg(long)]
    upstream: Vec<String>,
    /// Leave out what fits, such as device=tv or type=PTR.
    #[arg(long, value_name = "FIELD=VALUE")]
    not: Vec<String>,
}

/// Show questions that were answered, of both hosts, the newest first.
#[derive(Debug, clap::Args)]
pub(super) struct Queries {
    #[command(flatten)]
    which: Which,
    /// Not before this time (RFC 3339), or so long ago (`2h`).
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time, or so long ago.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
    /// At most so many (200 at the most).
    #[arg(long, short = 'n', default_value_t = 50, value_name = "NUMBER")]
    number: usize,
    /// Older than this place, which an earlier answer has given.
    #[arg(long, value_name = "PLACE")]
    before: Option<String>,
}

/// Show questions as they are answered, on both hosts.
#[derive(Debug, clap::Args)]
pub(super) struct Tail {
    #[command(flatten)]
    which: Which,
    /// End after so many seconds.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u64>,
}

/// Show what the last hours come to, on both hosts.
#[derive(Debug, clap::Args)]
pub(super) struct Stats {
    /// So many hours, the running one included.
    #[arg(long, default_value_t = 24, value_name = "HOURS")]
    hours: u32,
}

/// Forget questions for good, on both hosts.
#[derive(Debug, clap::Args)]
pub(super) struct Forget {
    #[command(flatten)]
    whose: Whose,
    /// Not before this time (RFC 3339), or so long ago (`2h`); whole minutes.
    #[arg(long, value_name = "TIME")]
    from: Option<String>,
    /// Before this time, or so long ago.
    #[arg(long, value_name = "TIME")]
    to: Option<String>,
}

#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct Whose {
    /// Those of a device: its name, MAC or address.
    #[arg(long, value_name = "DEVICE")]
    device: Option<String>,
    /// Those for a domain and what is below it.
    #[arg(long)]
    domain: Option<String>,
    /// Those of everybody, and the statistics.
    #[arg(long)]
    everything: bool,
}

#[derive(Debug, Deserialize)]
struct Answer {
    queries: Vec<Row>,
    next: Option<String>,
    newest: String,
    missing: Vec<String>,
    level: String,
}

#[derive(Debug, Deserialize)]
struct Row {
    at: String,
    host: String,
    client: Option<String>,
    device: Option<String>,
    name: Option<String>,
    #[serde(rename = "type")]
    qtype: String,
    verdict: String,
    rcode: String,
    upstream: Option<String>,
    rule: Option<Rule>,
    took_ms: Option<f64>,
}

#[derive(Debug, Deserialize)]
struct Rule {
    allowed: bool,
    list: String,
    rule: Option<String>,
    target: Option<String>,
}

impl Which {
    fn filter(&self) -> Result<QueryFilter, Failure> {
        let mut include = Vec::new();
        let fields = [
            ("device", &self.device),
            ("network", &self.network),
            ("name", &self.name),
            ("domain", &self.domain),
            ("type", &self.qtype),
            ("verdict", &self.verdict),
            ("list", &self.list),
            ("upstream", &self.upstream),
        ];
        for (field, values) in fields {
            include.extend(values.iter().map(|value| (field.to_owned(), value.clone())));
        }
        if self.blocked {
            include.push(("verdict".to_owned(), "blocked".to_owned()));
        }
        let exclude = self.not.iter().map(|term| match term.split_once('=') {
            Some((field, value)) => Ok((field.to_owned(), value.to_owned())),
            None => Err(Failure::new(format!("--not {term} is not understood."))
                .fix("Write a field and a value, such as --not device=tv.")),
        });
        let exclude = exclude.collect::<Result<Vec<_>, _>>()?;
        Ok(QueryFilter { include, exclude, from_ms: None, to_ms: None })
    }
}

/// A moment, or how long ago it was, in milliseconds since 1970.
fn moment(text: &str) -> Result<i64, Failure> {
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_millisecond());
    }
    let ago = text.parse::<jiff::Span>().ok().and_then(|span| {
        let zoned = Timestamp::now().to_zoned(TimeZone::system());
        Some(zoned.checked_sub(span).ok()?.timestamp().as_millisecond())
    });
    ago.ok_or_else(|| {
        Failure::new(format!("{text} is not a time."))
            .fix("Write such as 2026-11-27T12:00:00Z, or how long ago it was: 2h, 30m.")
    })
}

impl Queries {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let mut filter = self.which.filter()?;
        filter.from_ms = self.from.as_deref().map(moment).transpose()?;
        filter.to_ms = self.to.as_deref().map(moment).transpose()?;
        let (before, limit) = (self.before.clone(), Some(self.number));
        let question = QueriesQuestion { filter, before, after: None, limit };
        let data = daemon::ask(common, &Request::Queries { question })?;
        let answer: Answer = daemon::read(&data)?;
        if common.json {
            text::print_json(&data);
            return Ok(ExitCode::SUCCESS);
        }
        answer.queries.iter().for_each(Row::tell);
        if answer.queries.is_empty() {
            text::print_line(match answer.level.as_str() {
                "off" => "No history is kept: its level is off.",
                _ => "Nothing fits.",
            });
        }
        answer.missing.iter().for_each(|why| complain(why));
        if let Some(next) = &answer.next {
            text::print_line(&format!("There is more: --before {next}"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn complain(why: &str) {
    text::print_line(&text::toned(&text::clean(why), Tone::Attention));
}

impl Tail {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let filter = self.which.filter()?;
        let until = self.seconds.map(|secs| std::time::Instant::now() + Duration::from_secs(secs));
        let mut question = QueriesQuestion { filter, before: None, after: None, limit: Some(1) };
        let mut missing = Vec::new();
        loop {
            let data = daemon::ask(common, &Request::Queries { question: question.clone() })?;
            let mut answer: Answer = daemon::read(&data)?;
            // The first answer only tells where to begin.
            if question.after.is_some() {
                answer.queries.reverse();
                if common.json {
                    let rows = data["queries"].as_array().into_iter().flatten().rev();
                    rows.for_each(|row| text::print_line(&row.to_string()));
                } else {
                    answer.queries.iter().for_each(Row::tell);
                }
            }
            if answer.missing != missing && !common.json {
                answer.missing.iter().for_each(|why| complain(why));
            }
            missing = answer.missing;
            (question.after, question.limit) = (Some(answer.newest), Some(200));
            if until.is_some_and(|until| std::time::Instant::now() >= until) {
                return Ok(ExitCode::SUCCESS);
            }
            std::thread::sleep(Duration::from_secs(1));
        }
    }
}

impl Row {
    fn tell(&self) {
        let at = self.at.parse::<Timestamp>().unwrap_or_default().to_zoned(TimeZone::system());
        let at = at.strftime("%Y-%m-%d %H:%M:%S");
        let who = self.device.as_deref().or(self.client.as_deref()).unwrap_or("-");
        let what = self.name.as_deref().unwrap_or("-");
        let line = format!("{at}  {}  {who}  {what} {}  {}", self.host, self.qtype, self.words());
        let line = text::clean(&line);
        let tone = match self.verdict.as_str() {
            "blocked" => Some(Tone::Bad),
            "failed" | "stale" => Some(Tone::Attention),
            _ => None,
        };
        text::print_line(&tone.map_or(line.clone(), |tone| text::toned(&line, tone)));
    }

    fn words(&self) -> String {
        let mut words = self.verdict.clone();
        if let Some(rule) = &self.rule {
            let deed = if rule.allowed { ", allowed" } else { "" };
            words += &format!("{deed} by {}", rule.list);
            if let Some(rule) = &rule.rule {
                words += &format!(" ({rule})");
            }
            if let Some(target) = &rule.target {
                words += &format!(", it leads to {target}");
            }
        }
        if self.rcode != "NOERROR" {
            words += &format!(", {}", self.rcode);
        }
        if let Some(upstream) = &self.upstream {
            words += &format!(", by {upstream}");
        }
        if let Some(ms) = self.took_ms {
            words += &format!(", {ms:.1} ms");
        }
        words
    }
}

impl Stats {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let data = daemon::ask(common, &Request::Statistics { hours: self.hours })?;
        if common.json {
            text::print_json(&data);
            return Ok(ExitCode::SUCCESS);
        }
        let number = |of: &Value| of.as_u64().unwrap_or(0);
        let (all, blocked) = (number(&data["queries"]), number(&data["blocked"]));
        let share = if all == 0 { 0.0 } else { blocked as f64 * 100.0 / all as f64 };
        text::print_line(&text::toned(
            &format!("{all} questions in {} hours, {blocked} blocked ({share:.1} %).", self.hours),
            Tone::Strong,
        ));
        let ms = |of: &Value| of.as_f64().map_or("-".to_owned(), |ms| format!("{ms} ms"));
        let [p50, p90, p99] = [0, 1, 2].map(|at| ms(&data["latency_ms"][at]));
        text::print_line(&format!(
            "Of those asked upstream, half took at most {p50}, 9 of 10 {p90}, 99 of 100 {p99}."
        ));
        for (title, field, word) in [
            ("HOW", "verdicts", "name"),
            ("MOST ASKED", "domains", "name"),
            ("MOST BLOCKED", "blocked_domains", "name"),
            ("DEVICES", "clients", "client"),
            ("LISTS", "lists", "name"),
            ("UPSTREAMS", "upstreams", "name"),
        ] {
            let rows = data[field].as_array().into_iter().flatten().take(10).map(|row| {
                let name = row["device"].as_str().or(row[word].as_str()).unwrap_or("-");
                vec![name.to_owned(), number(&row["count"]).to_string()]
            });
            let rows: Vec<Vec<String>> = rows.collect();
            if !rows.is_empty() {
                text::print_line("");
                text::table(&[title, ""], &rows).iter().for_each(|line| text::print_line(line));
            }
        }
        let missing = data["missing"].as_array().into_iter().flatten();
        missing.filter_map(Value::as_str).for_each(complain);
        Ok(ExitCode::SUCCESS)
    }
}

impl Forget {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let order = match (&self.whose.device, &self.whose.domain) {
            (Some(device), _) => ForgetOrder::Device(device.clone()),
            (None, Some(domain)) => ForgetOrder::Domain(domain.clone()),
            (None, None) => ForgetOrder::Everything,
        };
        let from_ms = self.from.as_deref().map(moment).transpose()?;
        let to_ms = self.to.as_deref().map(moment).transpose()?;
        let data = daemon::ask(common, &Request::Forget { order, from_ms, to_ms })?;
        if common.json {
            text::print_json(&data);
        } else {
            let queries = data["queries"].as_u64().unwrap_or(0);
            text::print_line(&format!("{queries} questions are forgotten."));
            let missing = data["missing"].as_array().into_iter().flatten();
            missing.filter_map(Value::as_str).for_each(complain);
        }
        let whole = data["missing"].as_array().is_none_or(Vec::is_empty);
        Ok(if whole { ExitCode::SUCCESS } else { ExitCode::from(super::DEGRADED) })
    }
}
