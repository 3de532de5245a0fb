//! One question's way: from the bytes of a packet to the bytes of its answer.
//!
//! Pure: no clock, no socket, no lock but the cache's. The UDP workers, the TCP listener, tests and
//! benchmarks all call [`Pipeline::handle`].

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crate::cache::{Cache, Cached, Entry, Key, Now, to_name};
use crate::history::{Draft, Recorder, Recording, Rule, Way};
use crate::routes::Route;
use crate::shared::Snapshot;
use crate::wire::{Malformed, Query, find_opt, max_size, to_message};
use crate::{Answered, DropReason, Policy, PolicyId, RecordType, RuleRef, Shared, Transport};

mod access;
mod alias;
mod cached;
mod canary;
mod conditional;
mod discovery;
mod ending;
mod filtering;
mod limit;
mod local_names;
mod minimal;
mod nat64;
mod policy;
mod rebinding;
mod recursion;
mod refusal;
mod special;

pub(crate) use alias::Alias;
pub(crate) use ending::Result;
use ending::Result as Ended;
pub(crate) use limit::pace;
pub(crate) use special::stays_inside;
pub use special::{SELF_TEST, has_fixed_answer};

/// The stages in their order. The first that is `Done` ends the walk; a question that passes all of
/// them must be asked upstream. Each place is justified by the failure it prevents:
const STAGES: [Stage; 14] = [
    access::judge, // first: a stranger must not learn anything, nor use us against others
    limit::judge,  // before any work: one device that runs wild must not cost the others theirs
    discovery::answer, // before special names: they know nothing below resolver.arpa
    special::answer, // before local names: no host may call itself localhost
    conditional::choose, // before all that would deny a name of a zone others know
    nat64::answer, // before local names: they deny all of a private prefix that they do not know
    local_names::answer, // before the filter: no list may block a device of the house
    special::keep_inside, // after local names: what they do not know must not leave the house
    policy::choose, // from here on answers differ from client to client; and who is asked
    canary::answer, // only for those whose questions are filtered
    filtering::judge, // before the cache: what is blocked now must not be served from earlier
    minimal::answer, // before the cache: ANY is never asked upstream
    cached::answer, // the last that answers at once
    recursion::judge, // only who asks for recursion has others asked
];

type Stage = for<'a> fn(&Cx<'a>, &mut Asked<'a>, &mut Vec<u8>) -> Step;

/// What a stage decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Next,
    Done(Outcome),
}

/// What became of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The answer stands in the buffer.
    Answered(Answered),
    /// The answer, out of the cache, stands in the buffer and will soon expire there: whoever sends
    /// it should have it asked for again.
    Aging(Answered),
    /// There will be no answer.
    Dropped(DropReason),
    /// Nobody here knows: an upstream must be asked.
    Miss,
}

/// Who asks, and how.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker {
    /// Source address and port.
    pub source: SocketAddr,
    /// The address of this host that was asked.
    pub local: IpAddr,
    /// How the question came, and so how its answer goes back.
    pub transport: Transport,
}

/// The stages and the cache they share.
#[derive(Debug)]
pub struct Pipeline {
    pub(crate) cache: Cache,
}

/// What all stages read.
pub(crate) struct Cx<'a> {
    pub(crate) snapshot: &'a Snapshot,
    pub(crate) cache: &'a Cache,
    pub(crate) now: Now,
}

/// A question on its way.
pub(crate) struct Asked<'a> {
    pub(crate) query: Query<'a>,
    asker: Asker,
    /// Set by `access`.
    policy_id: PolicyId,
    /// Set by `conditional`: who is asked for names of the zone that the name is in, and how many
    /// labels that zone has.
    zone: Option<(Route, usize)>,
    /// Set by `policy`: who is asked when nobody here knows.
    route: Route,
    /// Set by `policy`, when the client's questions are filtered.
    filtering: Option<&'a Policy>,
    /// Set by `filtering`, when a rule decided.
    decided: Option<Decided<'a>>,
}

/// The rule that decided on a question.
struct Decided<'a> {
    rule: RuleRef,
    /// An exception: nothing else may block the name.
    allowed: bool,
    /// What it matched, when that was not the question.
    led_to: Option<LedTo<'a>>,
}

/// A name that the asked one leads to.
enum LedTo<'a> {
    /// By an alias of the house.
    Alias(&'a [u8]),
    /// By an answer, as the target of that number.
    Answer(Arc<Entry>, usize),
}

impl LedTo<'_> {
    fn name(&self) -> Option<&[u8]> {
        match self {
            Self::Alias(name) => Some(name),
            Self::Answer(entry, at) => entry.targets().get(*at).map(crate::Name::as_wire),
        }
    }
}

impl<'a> Asked<'a> {
    fn new(query: Query<'a>, asker: Asker) -> Self {
        let (policy_id, route) = (PolicyId::default(), Route::default());
        Self { query, asker, policy_id, zone: None, route, filtering: None, decided: None }
    }

    fn limit(&self) -> usize {
        max_size(self.asker.transport.is_udp(), self.query.edns)
    }
}

impl Pipeline {
    /// A pipeline with an empty cache of at most so many bytes.
    pub fn new(cache_bytes: u64) -> Self {
        Self { cache: Cache::new(cache_bytes) }
    }

    /// Answers one packet into `out`, whose old content is gone afterwards. Never panics, whatever
    /// the packet is.
    pub fn handle(
        &self,
        shared: &Shared,
        packet: &[u8],
        asker: Asker,
        now: Now,
        out: &mut Vec<u8>,
    ) -> Outcome {
        self.handle_with(&shared.snapshot.load(), packet, asker, now, out, &mut shared.history())
    }

    /// As [`Pipeline::handle`], for one who has a recorder of its own ([`Shared::recorder`]).
    pub fn handle_recorded(
        &self,
        shared: &Shared,
        packet: &[u8],
        asker: Asker,
        now: Now,
        out: &mut Vec<u8>,
        history: &mut Recorder,
    ) -> Outcome {
        self.handle_with(&shared.snapshot.load(), packet, asker, now, out, history)
    }

    /// As [`Pipeline::handle`], with a snapshot and a recorder that a worker has at hand.
    pub(crate) fn handle_with(
        &self,
        snapshot: &Snapshot,
        packet: &[u8],
        asker: Asker,
        now: Now,
        out: &mut Vec<u8>,
        history: &mut impl Recording,
    ) -> Outcome {
        let cx = Cx { snapshot, cache: &self.cache, now };
        let query = match Query::parse(packet) {
            Ok(query) => query,
            Err(Malformed::Drop(reason)) => return Outcome::Dropped(reason),
            Err(Malformed::Answer(refusal)) => {
                return refusal::answer(&cx, asker, &refusal, out, history);
            }
        };
        let mut asked = Asked::new(query, asker);
        for stage in STAGES {
            if let Step::Done(outcome) = stage(&cx, &mut asked, out) {
                if let Outcome::Answered(how) | Outcome::Aging(how) = outcome {
                    record(&cx, &asked, how, Way { received: now, ..Way::default() }, out, history);
                }
                return outcome;
            }
        }
        Outcome::Miss
    }

    /// Puts an upstream's answer, in wire format, into the cache under the question that it
    /// repeats, for clients whose questions go to no group. False when it is no answer that can be
    /// kept.
    pub fn learn(&self, answer: &[u8], now: Now) -> bool {
        let Some(message) = to_message(answer) else { return false };
        let dnssec_ok = find_opt(answer).is_some_and(|opt| opt.dnssec_ok);
        let cd = message.metadata.checking_disabled;
        let Some((Some(name), rtype)) = message
            .queries
            .first()
            .map(|query| (to_name(query.name()), RecordType(query.query_type().into())))
        else {
            return false;
        };
        let key = Key::new(name.as_wire(), 0, rtype, dnssec_ok, cd);
        let Some(entry) = Entry::from_answer(message, &key, now) else { return false };
        self.cache.insert(&entry);
        entry.lives()
    }
}

/// Tells the history of an answer.
fn record(
    cx: &Cx<'_>,
    asked: &Asked<'_>,
    how: Answered,
    way: Way,
    answer: &[u8],
    history: &mut impl Recording,
) {
    let rule = asked.decided.as_ref().map(|decided| Rule {
        rule: decided.rule,
        allowed: decided.allowed,
        target: decided.led_to.as_ref().and_then(LedTo::name),
    });
    let at_once = way.received == cx.now;
    let draft = Draft {
        at: way.received,
        took: if at_once { None } else { Some(cx.now.0.saturating_sub(way.received.0)) },
        client: asked.asker.source.ip(),
        transport: asked.asker.transport,
        name: asked.query.name(),
        qtype: asked.query.qtype,
        how,
        rcode: answer.get(3).map_or(0, |flags| flags & crate::wire::flag::RCODE),
        generation: cx.snapshot.labels.generation,
        policy: asked.policy_id,
        rule,
        upstream: way.upstream,
        dnssec: way.dnssec,
    };
    tell(cx, &draft, history);
}

/// Hands the history what it hears of an answer, unless the client's policy wants none kept. The
/// clock stands still on the way of a question that is answered at once.
fn tell(cx: &Cx<'_>, draft: &Draft<'_>, history: &mut impl Recording) {
    let policy = cx.snapshot.policies.policies.get(usize::from(draft.policy.0));
    if policy.is_some_and(|policy| policy.history) && draft.how != Answered::SelfTest {
        history.record(draft);
    }
}

/// What a question that nobody here can answer is asked as.
#[derive(Debug)]
pub(crate) struct Errand {
    /// What the answer is kept under.
    pub(crate) key: Key,
    /// A local alias led to the name that is asked.
    pub(crate) alias: Option<Alias>,
    pub(crate) route: Route,
}

impl Errand {
    /// Who is asked for a name.
    fn route(snapshot: &Snapshot, name: &[u8], qtype: RecordType, source: IpAddr) -> Route {
        let policy = snapshot.policies.of(source).unwrap_or_default();
        match conditional::zone_of(snapshot, name, qtype, source) {
            Some((zone, _)) => snapshot.routes.in_zone(zone, policy),
            None => snapshot.routes.of_policy(policy),
        }
    }

    pub(crate) fn of(snapshot: &Snapshot, query: &Query<'_>, asker: Asker) -> Self {
        let source = asker.source.ip();
        let route = |name: &[u8]| Self::route(snapshot, name, query.qtype, source);
        match Alias::of(snapshot, query, source, route) {
            Some(alias) => Self { key: alias.key.clone(), route: alias.route, alias: Some(alias) },
            None => {
                let route = route(query.name());
                Self { key: route.key(query.name(), query), alias: None, route }
            }
        }
    }
}

impl Pipeline {
    /// The answer kept under `key`, when it has not expired.
    pub(crate) fn fresh(&self, key: &Key, now: Now) -> Option<Arc<Entry>> {
        match self.cache.get(key.as_bytes(), now) {
            Cached::Fresh(entry) => Some(entry),
            _ => None,
        }
    }

    /// Whether an expired answer is kept under `key`.
    pub(crate) fn has_stale(&self, key: &Key, now: Now) -> bool {
        matches!(self.cache.get(key.as_bytes(), now), Cached::Stale(..))
    }
}

#[cfg(test)]
mod tests;
