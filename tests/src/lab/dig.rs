//! Asking a host for a name, with `dig`.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant, SystemTime};

use super::netns::Netns;

/// What a host answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// `NOERROR`, `NXDOMAIN`, ...
    pub status: String,
    /// The values of the answer section, as dig writes them.
    pub values: Vec<String>,
}

/// Asks `server` once, waiting a second at most; `None` without an answer.
pub fn ask(from: &Netns, server: Ipv4Addr, name: &str, rtype: &str) -> Option<Answer> {
    ask_for(Duration::from_secs(1), from, server, name, rtype)
}

/// Asks `server` once and gives up after `limit`.
pub fn ask_for(
    limit: Duration,
    from: &Netns,
    server: Ipv4Addr,
    name: &str,
    rtype: &str,
) -> Option<Answer> {
    let at = format!("@{server}");
    let options = ["+tries=1", "+time=1", "+noall", "+comments", "+answer"];
    let argv: Vec<&str> = ["dig", &at, name, rtype].into_iter().chain(options).collect();
    let out = from.run(limit, &argv).ok()?;
    parse(&String::from_utf8_lossy(&out.stdout))
}

/// Asks for the name of an address.
pub fn ask_ptr(from: &Netns, server: Ipv4Addr, address: Ipv4Addr) -> Option<Answer> {
    let [a, b, c, d] = address.octets();
    ask(from, server, &format!("{d}.{c}.{b}.{a}.in-addr.arpa"), "PTR")
}

/// How long after `since` both the name and the PTR were there on `server`.
///
/// # Panics
/// When they are not by `limit` after `since`.
#[track_caller]
pub fn named_within(
    from: &Netns,
    server: Ipv4Addr,
    (name, address): (&str, Ipv4Addr),
    (since, limit): (SystemTime, Duration),
) -> Duration {
    let expected = [address.to_string(), format!("{name}.")];
    loop {
        let forward = ask(from, server, name, "A");
        let reverse = ask_ptr(from, server, address);
        let waited = since.elapsed().unwrap_or_default();
        let holds = |answer: &Option<Answer>, value: &String| {
            answer.as_ref().is_some_and(|answer| answer.values == [value.clone()])
        };
        if holds(&forward, &expected[0]) && holds(&reverse, &expected[1]) {
            assert!(waited <= limit, "{name} was known at {server} only after {waited:?}");
            return waited;
        }
        assert!(
            waited <= limit,
            "{server} does not know {name} = {address} {waited:?} after the client had it: \
             {forward:?}, PTR {reverse:?}"
        );
    }
}

/// Waits until `server` says that `name` does not exist.
///
/// # Panics
/// When it has not after `limit`.
#[track_caller]
pub fn gone_within(from: &Netns, server: Ipv4Addr, name: &str, limit: Duration) -> Duration {
    let began = Instant::now();
    loop {
        let answer = ask(from, server, name, "A");
        let waited = began.elapsed();
        if answer.as_ref().is_some_and(|answer| answer.status == "NXDOMAIN") {
            return waited;
        }
        assert!(waited <= limit, "{server} still answers for {name} after {waited:?}: {answer:?}");
    }
}

/// Reads what dig printed.
fn parse(text: &str) -> Option<Answer> {
    let status = text.split_once("status: ")?.1.split(',').next()?.to_owned();
    let records = text.lines().filter(|line| !line.is_empty() && !line.starts_with(';'));
    let values = records.filter_map(|line| line.split_whitespace().nth(4).map(str::to_owned));
    Some(Answer { status, values: values.collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_its_status_and_values() {
        let text = ";; Got answer:\n;; ->>HEADER<<- opcode: QUERY, status: NOERROR, id: 5\n\n\
                    ;; ANSWER SECTION:\ntv.home.arpa.\t60\tIN\tA\t10.77.10.9\n";
        let answer = parse(text).expect("an answer");
        assert_eq!((answer.status.as_str(), answer.values), ("NOERROR", vec!["10.77.10.9".into()]));
        assert_eq!(parse(";; connection timed out; no servers could be reached\n"), None);
    }
}
