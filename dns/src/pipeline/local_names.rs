//! Answers from the names of the house.

use std::net::IpAddr;

use super::special::Said;
use super::{
    Asked, Cx, Ended, Errand, Outcome, Step, conditional, ending, filtering, minimal, policy,
    special,
};
use crate::cache::{Cached, FailureKind};
use crate::local::{Found, Rrset, Stored, Zone, target};
use crate::routes::Route;
use crate::shared::Snapshot;
use crate::wire::{Ede, Owner, Query, Rcode, Reply};
use crate::{Answered, LocalNames, Prefix64, RecordType};

/// Records whose targets' addresses are added at most.
const MAX_TARGETS: usize = 8;

/// How long it may be believed that a single name of ours lacks a type: somebody may be adding it.
const FOREIGN_TTL_SECS: u32 = 10;

pub(super) fn answer<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    let local: &LocalNames = &cx.snapshot.local;
    let asker = asked.asker.source.ip();
    let qtype = asked.query.qtype;
    let mut name = asked.query.name();
    let mut found = local.find_asked(name, qtype, asker);
    if qtype == RecordType::ANY && matches!(found, Found::NoData(_) | Found::Alias(_)) {
        minimal::write(asked, true, out);
        return Step::Done(Outcome::Answered(Answered::Local));
    }
    match found {
        Found::Elsewhere => return Step::Next,
        Found::NxDomain(zone) if others_know(asked.zone, zone) => return Step::Next,
        _ => {}
    }
    let mut reply = Reply::to(&asked.query, Rcode::NO_ERROR, out);
    reply.authoritative();
    let (mut made, mut followed) = (false, 0);
    loop {
        let owner = owner(asked, name);
        match found {
            Found::Records(records) => positive(&mut reply, owner, records, local, asker),
            Found::NoData(zone) => {
                made = translated(cx, asked, name, zone, owner, &mut reply);
                match zone {
                    _ if made => {}
                    Some(zone) if name.ends_with(zone.apex.as_wire()) => {
                        negative(&mut reply, zone);
                    }
                    // Of the zone around it, which is not ours, we have this name alone; and a plain
                    // name is in none.
                    _ => foreign(&mut reply, name),
                }
            }
            Found::NxDomain(zone) => {
                // RFC 6604, 3: the code is that of the chain's end.
                reply.set_rcode(Rcode::NX_DOMAIN);
                negative(&mut reply, zone);
            }
            Found::Alias(_) if followed == LocalNames::MAX_ALIASES => {
                FailureKind::Circle.write(&asked.query, false, asked.limit(), out);
                return Step::Done(Outcome::Answered(Answered::Local));
            }
            Found::Alias(Stored { ttl_secs, rdata, .. }) => {
                reply.answer(owner, RecordType::CNAME, *ttl_secs, rdata);
                (name, followed) = (rdata, followed + 1);
                found = next(cx.snapshot, name, qtype, asker);
                continue;
            }
            // An alias that leads out of the house; its target is asked upstream, unless it must
            // not be.
            Found::Elsewhere
                if special::never_asked(name, qtype)
                    && conditional::zone_of(cx.snapshot, name, qtype, asker).is_none() =>
            {
                forbidden(cx, asker, owner, (name, qtype), &mut reply);
            }
            Found::Elsewhere if asked.query.rd() => return ask(cx, asked, out),
            Found::Elsewhere => {}
        }
        break;
    }
    let ede = made.then_some(Ede::made());
    reply.finish(asked.limit(), ede);
    Step::Done(Outcome::Answered(Answered::Local))
}

/// Ends a chain of aliases with what is said of a name that nobody outside is asked for.
fn forbidden(
    cx: &Cx<'_>,
    asker: IpAddr,
    owner: Owner<'_>,
    (name, qtype): (&[u8], RecordType),
    reply: &mut Reply<'_>,
) {
    match special::said_of(cx, asker, name, qtype) {
        Some(Said::Data(records)) => {
            for data in records {
                reply.answer(owner, qtype, special::TTL_SECS, data);
            }
        }
        Some(Said::Nothing { rcode, zone, ttl_secs }) => {
            reply.set_rcode(rcode);
            let soa = filtering::soa(ttl_secs);
            reply.authority(Owner::Name(zone), RecordType::SOA, ttl_secs, &soa);
        }
        None => reply.set_rcode(Rcode::NX_DOMAIN),
    }
}

/// Answers with what an alias leads to, or has that asked, unless the client's policy blocks it: that
/// an alias is ours makes nobody else's name so.
fn ask<'a>(cx: &Cx<'a>, asked: &mut Asked<'a>, out: &mut Vec<u8>) -> Step {
    policy::choose(cx, asked, out);
    let (qtype, source) = (asked.query.qtype, asked.asker.source.ip());
    let Some(target) = leads_out(cx.snapshot, &asked.query, source) else {
        return Step::Done(Outcome::Miss);
    };
    if let blocked @ Step::Done(_) = filtering::judge_alias(cx, asked, target, out) {
        return blocked;
    }
    let route = Errand::route(cx.snapshot, target, qtype, source);
    let result = match cx.cache.get(route.key(target, &asked.query).as_bytes(), cx.now) {
        Cached::Fresh(entry) => Ended::Known(entry),
        // Asking has just failed: no use in letting the client wait for the next failure.
        Cached::Stale(_, Some(failure)) => Ended::Failed(failure.why),
        Cached::Failed(failure) => {
            failure.why.write(&asked.query, true, asked.limit(), out);
            return Step::Done(Outcome::Answered(Answered::Failed));
        }
        Cached::Stale(_, None) | Cached::Missing => return Step::Done(Outcome::Miss),
    };
    let aging = matches!(&result, Ended::Known(entry) if entry.wants_refresh(cx.now));
    Step::Done(match ending::conclude(cx, asked, &result, out) {
        Some(Outcome::Answered(how)) if aging => Outcome::Aging(how),
        Some(outcome) => outcome,
        None => Outcome::Miss,
    })
}

/// What is known of a name that an alias leads to. One that does not exist in a zone of ours may in one
/// inside it that others know, as when it is asked for itself.
pub(super) fn next<'a>(
    snapshot: &'a Snapshot,
    name: &[u8],
    qtype: RecordType,
    asker: IpAddr,
) -> Found<'a> {
    match snapshot.local.find(name, qtype, asker) {
        Found::NxDomain(zone)
            if others_know(conditional::zone_of(snapshot, name, qtype, asker), zone) =>
        {
            Found::Elsewhere
        }
        found => found,
    }
}

/// A zone of others as deep as ours, or deeper, knows more than that we know nothing.
fn others_know(others: Option<(Route, usize)>, ours: &Zone) -> bool {
    others.is_some_and(|(_, deep)| deep >= ours.apex.labels())
}

/// The name out of the house that the aliases of the asked one lead to.
pub(super) fn leads_out<'a>(
    snapshot: &'a Snapshot,
    query: &Query<'_>,
    asker: IpAddr,
) -> Option<&'a [u8]> {
    let mut found = snapshot.local.find_asked(query.name(), query.qtype, asker);
    let mut target = None;
    for _ in 0..=LocalNames::MAX_ALIASES {
        match found {
            Found::Alias(Stored { rdata, .. }) => {
                target = Some(&**rdata);
                found = next(snapshot, rdata, query.qtype, asker);
            }
            Found::Elsewhere => return target,
            _ => return None,
        }
    }
    None
}

/// Answers with addresses made of the name's IPv4 addresses, for a client behind a NAT64 (RFC 6147).
/// False where there are none to be made.
fn translated(
    cx: &Cx<'_>,
    asked: &Asked<'_>,
    name: &[u8],
    zone: Option<&Zone>,
    owner: Owner<'_>,
    reply: &mut Reply<'_>,
) -> bool {
    let query = &asked.query;
    let prefix = cx.snapshot.routes.of_policy(asked.policy_id).dns64;
    let concerned =
        |prefix: &Prefix64| prefix.concerns(name, query.qtype, query.dnssec_ok(), query.cd());
    let Some(prefix) = prefix.filter(|_| query.qtype == RecordType::AAAA).filter(concerned) else {
        return false;
    };
    let asker = asked.asker.source.ip();
    // A plain name is completed again, to the same name.
    let Found::Records(four) = cx.snapshot.local.find_asked(name, RecordType::A, asker) else {
        return false;
    };
    let mut any = false;
    for record in four.records() {
        let Some(IpAddr::V4(v4)) = record.address() else { continue };
        if !prefix.may_carry(v4) {
            continue;
        }
        // As long as both the address and that there is no other may be believed (5.1.7).
        let longest = zone.map_or(u32::MAX, |zone| zone.negative_ttl_secs);
        let ttl_secs = record.ttl_secs.min(longest);
        reply.answer(owner, RecordType::AAAA, ttl_secs, &prefix.embed(v4).octets());
        any = true;
    }
    any
}

fn owner<'a>(asked: &Asked<'_>, name: &'a [u8]) -> Owner<'a> {
    if asked.query.name() == name { Owner::Question } else { Owner::Name(name) }
}

fn positive(
    reply: &mut Reply<'_>,
    owner: Owner<'_>,
    found: Rrset<'_>,
    local: &LocalNames,
    asker: IpAddr,
) {
    for record in found.records() {
        reply.answer(owner, record.rtype, record.ttl_secs, &record.rdata);
    }
    let targets = || found.records().filter_map(|record| target(record.rtype, &record.rdata));
    for (index, name) in targets().take(MAX_TARGETS).enumerate() {
        if targets().take(index).any(|earlier| earlier == name) {
            continue;
        }
        for rtype in [RecordType::A, RecordType::AAAA] {
            if let Found::Records(addresses) = local.find(name, rtype, asker) {
                for record in addresses.records() {
                    reply.additional(Owner::Name(name), rtype, record.ttl_secs, &record.rdata);
                }
            }
        }
    }
}

fn negative(reply: &mut Reply<'_>, zone: &Zone) {
    let apex = Owner::Name(zone.apex.as_wire());
    reply.authority(apex, RecordType::SOA, zone.negative_ttl_secs, &zone.soa);
}

fn foreign(reply: &mut Reply<'_>, name: &[u8]) {
    let soa = filtering::soa(FOREIGN_TTL_SECS);
    reply.authority(Owner::Name(name), RecordType::SOA, FOREIGN_TTL_SECS, &soa);
}
