//! Requests that the pages' backend answers too: one implementation serves both.

use std::net::IpAddr;
use std::time::Duration;

use ipnet::IpNet;
use jiff::Timestamp;
use lanward_dhcp::HwAddr;
use lanward_web::Backend;
use lanward_web::view::{
    NewList, NewPause, NewReservation, PauseLength, PauseScope, Severity, WhyQuestion,
};
use serde_json::{Value, json};

use super::{
    ForgottenReply, HealthReply, Refusal, RefusalKind, Reply, Request, StatusReply, list_kind,
};
use crate::settings::fields::Read;
use crate::settings::words::{Mac, Name};

/// Answers a request by the pages' backend. Gives back the ones that are not its business: claim,
/// pair, records.
pub async fn answer(backend: &dyn Backend, request: Request) -> Result<Reply, Request> {
    let reply = match request {
        Request::Status => status(backend).await,
        Request::Health => {
            let health = backend.health();
            let why = health.sentence().to_owned();
            Ok(to_value(HealthReply { well: health.is_well(), why }))
        }
        Request::Authority => backend.encrypted(true).await.map_err(Refusal::from).map(to_value),
        Request::Networks => backend.networks().await.map_err(Refusal::from).map(to_value),
        Request::Policies => backend.policies().await.map_err(Refusal::from).map(to_value),
        Request::Leases => backend.leases().await.map_err(Refusal::from).map(to_value),
        Request::Reservations => backend.reservations().await.map_err(Refusal::from).map(to_value),
        Request::Reserve { network, mac, address, name, comment } => {
            let mac = Mac::read(&Value::from(mac))
                .map_err(|wrong| Refusal::field("mac", format!("{} {}", wrong.message, wrong.fix)));
            match mac {
                Err(refusal) => Err(refusal),
                Ok(mac) => {
                    let hw = HwAddr::ethernet(mac.0);
                    let network = match network {
                        Some(network) => Ok(network),
                        None => network_of(backend, address.into()).await.map(|net| net.id),
                    };
                    match network {
                        Err(refusal) => Err(refusal),
                        Ok(network) => {
                            let new = NewReservation {
                                replaces: None,
                                network,
                                hw,
                                addr: address,
                                name,
                                comment,
                            };
                            backend.reserve(new).await.map_err(Refusal::from).map(to_value)
                        }
                    }
                }
            }
        }
        Request::Unreserve { id } => backend
            .unreserve(id)
            .await
            .map_err(Refusal::from)
            .map(|removed| to_value(removed.in_force)),
        Request::Release { address } => {
            backend.release(address).await.map_err(Refusal::from).map(to_value)
        }
        Request::Names => backend.names().await.map_err(Refusal::from).map(to_value),
        Request::Lists => backend.lists().await.map_err(Refusal::from).map(to_value),
        Request::AddList { id, name, source, allow, policies } => {
            add_list(backend, id, name, source, allow, policies).await
        }
        Request::RemoveList { id } => backend
            .remove_list(id)
            .await
            .map_err(Refusal::from)
            .map(|removed| to_value(removed.in_force)),
        Request::SetListEnabled { id, enabled } => {
            backend.set_list_enabled(id, enabled).await.map_err(Refusal::from).map(to_value)
        }
        Request::UpdateList { id } => {
            backend.update_list(id).await.map_err(Refusal::from).map(|()| json!({"started": true}))
        }
        Request::AcceptHeld { id } => {
            backend.accept_held(id).await.map_err(Refusal::from).map(to_value)
        }
        Request::Flush { name, below } => backend
            .forget_answers(name, below)
            .await
            .map_err(Refusal::from)
            .map(|forgotten| to_value(ForgottenReply { forgotten })),
        Request::Changes { limit } => {
            backend.changes(limit).await.map_err(Refusal::from).map(to_value)
        }
        Request::Undo { change } => backend.undo(change).await.map_err(Refusal::from).map(to_value),
        Request::Collisions => backend.collisions().await.map_err(Refusal::from).map(to_value),
        Request::Settle { key, value } => {
            backend.settle(key, value).await.map_err(Refusal::from).map(to_value)
        }
        Request::Pause { scope, secs, until } => pause(backend, &scope, secs, until).await,
        Request::Resume { scope } => match scope.as_deref().map(pause_scope).transpose() {
            Ok(scope) => backend.resume(scope).await.map_err(Refusal::from).map(to_value),
            Err(refusal) => Err(refusal),
        },
        Request::Pauses => {
            backend.status().await.map_err(Refusal::from).map(|status| to_value(status.pauses))
        }
        Request::Why { name, policy, client } => why(backend, &name, policy, client).await,
        Request::Queries { question } => {
            backend.queries(question).await.map_err(Refusal::from).map(to_value)
        }
        Request::Statistics { hours } => {
            backend.statistics(hours).await.map_err(Refusal::from).map(to_value)
        }
        Request::Forget { order, from_ms, to_ms } => {
            backend.forget(order, from_ms, to_ms).await.map_err(Refusal::from).map(to_value)
        }
        Request::SetPassword { phc } => {
            backend.set_owner_password_hash(phc).await.map_err(Refusal::from).map(to_value)
        }
        Request::Claim
        | Request::NewAuthority
        | Request::PairInvite
        | Request::PairJoin { .. }
        | Request::PairHeld
        | Request::PairDown
        | Request::PairMaintenance { .. }
        | Request::PairRemove { .. }
        | Request::PairReplace
        | Request::PairLog { .. }
        | Request::Records
        | Request::Edit { .. } => return Err(request),
    };
    Ok(match reply {
        Ok(data) => Reply::Done { data },
        Err(refusal) => Reply::Refused(refusal),
    })
}

fn to_value(value: impl serde::Serialize) -> Value {
    // None of these types has a map with keys that are no text, the only way to fail.
    serde_json::to_value(value).unwrap_or(Value::Null)
}

async fn status(backend: &dyn Backend) -> Result<Value, Refusal> {
    let status = backend.status().await?;
    let worst = status.problems.iter().map(|problem| problem.severity).max();
    Ok(to_value(StatusReply {
        headline: status.pair.headline(),
        sentence: status.pair.sentence(),
        next: status.pair.next(),
        severity: status.pair.severity().max(worst.unwrap_or(Severity::Ok)),
        status,
    }))
}

async fn add_list(
    backend: &dyn Backend,
    id: Option<String>,
    name: Option<String>,
    source: String,
    allow: bool,
    policies: Vec<String>,
) -> Result<Value, Refusal> {
    let policies = match policies.is_empty() {
        false => policies,
        true => backend.policies().await?.into_iter().map(|policy| policy.id).collect(),
    };
    let new = NewList {
        id,
        name: name.unwrap_or_else(|| source.clone()),
        source,
        kind: list_kind(allow),
        policies,
        enabled: true,
    };
    Ok(to_value(backend.add_list(new).await?))
}

async fn pause(
    backend: &dyn Backend,
    scope: &str,
    secs: Option<u64>,
    until: Option<String>,
) -> Result<Value, Refusal> {
    let until = until.map(|text| text.parse::<Timestamp>()).transpose();
    let until = until.map_err(|_| Refusal::field("until", "Write a time as RFC 3339 has it."))?;
    let length = match (secs, until) {
        (Some(secs), None) => PauseLength::For(Duration::from_secs(secs)),
        (None, Some(until)) => PauseLength::Until(until),
        (None, None) => PauseLength::UntilResumed,
        (Some(_), Some(_)) => {
            return Err(Refusal::field("until", "Give a length or an end, not both."));
        }
    };
    let new = NewPause { scope: pause_scope(scope)?, length };
    Ok(to_value(backend.pause(new).await?))
}

fn pause_scope(text: &str) -> Result<PauseScope, Refusal> {
    PauseScope::parse(text).ok_or_else(|| {
        let message = format!("“{text}” is nobody: use all, network/ID or device/ADDRESS.");
        Refusal::field("scope", message)
    })
}

async fn why(
    backend: &dyn Backend,
    name: &str,
    policy: Option<String>,
    client: Option<IpAddr>,
) -> Result<Value, Refusal> {
    let name = Name::parse(name)
        .map_err(|wrong| Refusal::field("name", format!("{} {}", wrong.message, wrong.fix)))?;
    let policy = match (policy, client) {
        // The host itself is in no network.
        (None, Some(client)) if client.is_loopback() => Some("default".to_owned()),
        (None, Some(client)) => network_of(backend, client).await?.policy,
        (policy, _) => policy,
    };
    if let Some(policy) = &policy {
        let known = backend.policies().await?;
        if !known.iter().any(|known| known.id == *policy) {
            let ids: Vec<String> = known.into_iter().map(|policy| policy.id).collect();
            return Err(Refusal::field(
                "policy",
                format!("There is no policy {policy}. There are: {}.", ids.join(", ")),
            ));
        }
    }
    let question = WhyQuestion { name: name.to_string(), policy, client };
    Ok(to_value(backend.why(question).await?))
}

/// The network with the longest subnet that holds `addr`.
async fn network_of(
    backend: &dyn Backend,
    addr: IpAddr,
) -> Result<lanward_web::view::NetworkView, Refusal> {
    let networks = backend.networks().await?;
    networks
        .into_iter()
        .filter_map(|network| Some((network.subnet.parse::<IpNet>().ok()?, network)))
        .filter(|(subnet, _)| subnet.contains(&addr))
        .max_by_key(|(subnet, _)| subnet.prefix_len())
        .map(|(_, network)| network)
        .ok_or_else(|| {
            Refusal::new(RefusalKind::NotFound, format!("{addr} is in none of the networks."))
        })
}
