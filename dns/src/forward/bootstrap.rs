//! Where an upstream server is whose settings give a name only: asked of plain servers, never of
//! ourselves, and off the way of any question.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::rr::RData;

use super::groups::Groups;
use super::plain;
use super::question::Question;
use super::server::Received;
use crate::wire::{Form, Records};
use crate::{Name, RecordType};

/// Addresses are believed for at least, and at most, so long.
const LIVES: (u32, u32) = (60, 86_400);

/// The addresses of `name`, and for how many seconds they may be used.
pub(super) async fn resolve(
    name: &Name,
    servers: &[SocketAddr],
) -> Result<(Vec<IpAddr>, Duration), String> {
    let mut last = "no bootstrap server is configured to resolve it with".to_owned();
    for &server in servers {
        let (v4, v6) =
            tokio::join!(ask(server, name, RecordType::A), ask(server, name, RecordType::AAAA));
        let failed = v4.as_ref().or(v6.as_ref()).err().map(ToString::to_string);
        let mut found = v4.unwrap_or_default();
        found.extend(v6.unwrap_or_default());
        let ttl = found.iter().map(|(_, ttl)| *ttl).min().unwrap_or(0).clamp(LIVES.0, LIVES.1);
        if !found.is_empty() {
            let addresses = found.into_iter().map(|(address, _)| address).collect();
            return Ok((addresses, Duration::from_secs(u64::from(ttl))));
        }
        last = match failed {
            Some(error) => format!("bootstrap server {server}: {error}"),
            None => format!("bootstrap server {server} knows no address of {name}"),
        };
    }
    Err(last)
}

impl Groups {
    /// The addresses of `name`, asked of the first group.
    pub(crate) async fn lookup(&self, name: &Name) -> io::Result<Vec<IpAddr>> {
        let ask = async |rtype| {
            let question = Question::plain(name.clone(), rtype);
            self.ask(0, &question)
                .await
                .map(|Received { wire, form }| addresses(&wire, &form, rtype))
        };
        let (v4, v6) = tokio::join!(ask(RecordType::A), ask(RecordType::AAAA));
        if let (Err(why), Err(_)) = (&v4, &v6) {
            return Err(io::Error::other(why.to_string()));
        }
        let mut found = v4.unwrap_or_default();
        found.extend(v6.unwrap_or_default());
        match found.is_empty() {
            true => Err(io::Error::other(format!("{name} has no address"))),
            false => Ok(found.into_iter().map(|(address, _)| address).collect()),
        }
    }
}

async fn ask(server: SocketAddr, name: &Name, rtype: RecordType) -> io::Result<Vec<(IpAddr, u32)>> {
    let question = Question::plain(name.clone(), rtype);
    let Received { wire, form } = plain::ask(server, &question).await?;
    Ok(addresses(&wire, &form, rtype))
}

/// The addresses in an answer, with their times to live.
fn addresses(wire: &[u8], form: &Form, rtype: RecordType) -> Vec<(IpAddr, u32)> {
    match form {
        Form::Plain(layout) => {
            let mut records = Records::new(wire, layout.start, usize::from(layout.answers));
            (&mut records)
                .flatten()
                .filter(|record| record.rtype == rtype)
                .filter_map(|record| Some((address(record.rdata)?, record.ttl)))
                .collect()
        }
        Form::Other(message) => message
            .answers
            .iter()
            .filter_map(|record| match &record.data {
                RData::A(a) => Some((a.0.into(), record.ttl)),
                RData::AAAA(aaaa) => Some((aaaa.0.into(), record.ttl)),
                _ => None,
            })
            .collect(),
    }
}

fn address(rdata: &[u8]) -> Option<IpAddr> {
    match rdata.len() {
        4 => Some(<[u8; 4]>::try_from(rdata).ok()?.into()),
        _ => Some(<[u8; 16]>::try_from(rdata).ok()?.into()),
    }
}
