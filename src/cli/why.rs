//! `lanward why`.

use std::net::IpAddr;
use std::process::ExitCode;

use serde::Deserialize;

use super::pause::Paused;
use super::text::{self, Tone};
use super::{Common, Done, daemon};
use crate::admin::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Why {
    /// The name, or a web address with it.
    name: String,
    /// As seen by this client.
    #[arg(long, value_name = "IP", conflicts_with = "policy")]
    client: Option<IpAddr>,
    /// Only under this policy.
    #[arg(long)]
    policy: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Answer {
    name: String,
    exempt: Option<String>,
    #[serde(default)]
    paused: Vec<Paused>,
    policies: Vec<Policy>,
}

#[derive(Debug, Deserialize)]
struct Policy {
    policy: String,
    networks: Vec<String>,
    verdict: String,
    matches: Vec<Match>,
}

#[derive(Debug, Deserialize)]
struct Match {
    list: String,
    list_name: String,
    rule: String,
    kind: String,
    in_use: bool,
    decides: bool,
}

impl Why {
    pub(super) fn execute(&self, common: &Common) -> Done {
        let request = Request::Why {
            name: host_of(&self.name).to_owned(),
            policy: self.policy.clone(),
            client: self.client,
        };
        let data = daemon::ask(common, &request)?;
        let answer: Answer = daemon::read(&data)?;
        if common.json {
            text::print_json(&data);
        } else {
            answer.tell();
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The host in a web address; anything else as it is.
fn host_of(text: &str) -> &str {
    let Some((_, rest)) = text.split_once("://") else { return text };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    let host = authority.rsplit('@').next().unwrap_or(authority);
    host.split(':').next().unwrap_or(host)
}

impl Answer {
    fn tell(&self) {
        let name = text::clean(&self.name);
        if let Some(exempt) = &self.exempt {
            text::print_line(&format!("{name} is never filtered. {}", text::clean(exempt)));
        }
        for pause in &self.paused {
            text::print_line(&text::toned(&pause.sentence(), Tone::Attention));
        }
        for policy in &self.policies {
            policy.tell(&name);
        }
    }
}

impl Policy {
    fn tell(&self, name: &str) {
        let verdict = match self.verdict.as_str() {
            "blocked" => text::toned("blocked", Tone::Bad),
            "allowed" => text::toned("allowed by a rule", Tone::Good),
            "not_listed" => text::toned("not blocked", Tone::Good),
            "filtering_off" => text::toned("not blocked: blocking is off", Tone::Good),
            other => text::clean(other),
        };
        let mut who = format!("policy {}", text::clean(&self.policy));
        if !self.networks.is_empty() {
            who += &format!(" ({})", text::clean(&self.networks.join(", ")));
        }
        text::print_line(&format!("{name} is {verdict} under {who}."));
        if self.matches.is_empty() {
            return;
        }
        let rows: Vec<Vec<String>> = self
            .matches
            .iter()
            .map(|rule| {
                let word = match (rule.decides, rule.in_use) {
                    (true, _) => "decides",
                    (false, true) => "",
                    (false, false) => "not used here",
                };
                let list = match rule.list == rule.list_name {
                    true => rule.list.clone(),
                    false => format!("{} ({})", rule.list, rule.list_name),
                };
                vec![format!("  {}", rule.kind), rule.rule.clone(), list, word.to_owned()]
            })
            .collect();
        text::table(&["  KIND", "RULE", "LIST", ""], &rows)
            .iter()
            .for_each(|line| text::print_line(line));
    }
}

#[cfg(test)]
mod tests {
    use super::host_of;

    #[test]
    fn a_pasted_web_address_is_reduced_to_its_host() {
        assert_eq!(host_of("ads.example"), "ads.example");
        assert_eq!(host_of("https://ads.example/x?y=https://other/"), "ads.example");
        assert_eq!(host_of("http://me:pw@ads.example:8080/"), "ads.example");
    }
}
