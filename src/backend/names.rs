//! Local names as pages, API and command line show them.

use lanward_web::view::{LocalNames, NameRow, NameSource, Problem, RefusedName};

use super::Daemon;
use crate::control::NameSnapshot;
use crate::hosts_file::HostsFile;
use crate::names::{Refused, Source};

/// All names, and those that are not in force.
pub(super) fn view(snapshot: &NameSnapshot) -> LocalNames {
    let names = snapshot.names();
    let hosts = names.hosts.iter().map(|host| {
        let (source, line) = source(host.source);
        NameRow {
            name: host.name.to_string(),
            rtype: if host.addr.is_ipv4() { "A" } else { "AAAA" }.to_owned(),
            value: host.addr.to_string(),
            source,
            line,
            networks: Vec::new(),
        }
    });
    let records = snapshot.settings.records.iter().map(|record| NameRow {
        name: record.name.to_string(),
        rtype: record.data.type_name().to_owned(),
        value: record.data.value(),
        source: NameSource::Record,
        line: None,
        networks: record.networks.iter().map(ToString::to_string).collect(),
    });
    let mut rows: Vec<NameRow> = hosts.chain(records).collect();
    rows.sort();
    rows.dedup();
    LocalNames {
        names: rows,
        refused: names.refused.iter().map(refused).collect(),
        mistakes: snapshot.file.mistakes.iter().map(|it| (it.line, it.message.clone())).collect(),
    }
}

/// What is wrong with the hosts file, for the page that everybody looks at.
pub(super) fn problem(file: &HostsFile) -> Option<Problem> {
    let first = file.mistakes.first()?;
    let lines = if file.mistaken == 1 { "line" } else { "lines" };
    Some(Daemon::host_problem(
        format!(
            "The hosts file of this host has {} {lines} not in force; line {}: {}",
            file.mistaken, first.line, first.message
        ),
        "`lanward names` tells them all. The file is read again when it changes.",
    ))
}

fn source(source: Source) -> (NameSource, Option<u32>) {
    match source {
        Source::Reservation => (NameSource::Reservation, None),
        Source::Host => (NameSource::Host, None),
        Source::HostsFile(line) => (NameSource::HostsFile, Some(line)),
        Source::Service => (NameSource::Service, None),
        Source::Router => (NameSource::Router, None),
        Source::Lease => (NameSource::Lease, None),
    }
}

fn refused(refused: &Refused) -> RefusedName {
    RefusedName { name: refused.name.to_string(), addr: refused.addr, why: refused.why.to_string() }
}
