//! `lanward pair`.

use std::io::IsTerminal;
use std::process::ExitCode;

use super::status::Shown;
use super::{Common, Done, Failure, USAGE, daemon, text};
use crate::admin::{Held, InviteReply, JoinReply, RemoveReply, Request};
use crate::timeline::Entry;

#[derive(Debug, clap::Args)]
pub(super) struct Pair {
    #[command(subcommand)]
    order: Option<Order>,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Tell how the two hosts stand to each other (without an order, this is done).
    Status,
    /// Make an invite for the second host; it is good for one use.
    Invite,
    /// Join the host that made the invite, and take over its household.
    Join {
        /// The invite.
        invite: String,
        /// Do not ask whether what this host holds may be replaced.
        #[arg(long)]
        yes: bool,
    },
    /// Say that the other host is off, so that this one may use every address.
    ///
    /// This host first asks on every network the two share whether the other one answers, and
    /// refuses if it does.
    Down {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Hand DHCP over to the other host, and stay silent until `--off` or the next start.
    ///
    /// DNS goes on being answered here.
    Maintenance {
        /// End it: this host takes its part again.
        #[arg(long)]
        off: bool,
    },
    /// Remove the other host from the pair; this one goes on alone with the household.
    Remove {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
        /// Also where the other host still answers: only if Lanward will not run there.
        #[arg(long)]
        force: bool,
    },
    /// Put a new host in the place of one that is gone for good: prints an invite for it.
    Replace {
        /// Do not ask.
        #[arg(long)]
        yes: bool,
    },
    /// Tell what happened to the pair, when and why; the latest last.
    Log {
        /// How many events.
        #[arg(long, default_value_t = 50, value_name = "N")]
        lines: usize,
    },
}

impl Pair {
    pub(super) fn execute(&self, common: &Common) -> Done {
        match &self.order {
            None | Some(Order::Status) => status(common),
            Some(Order::Invite) => invite(common, &Request::PairInvite),
            Some(Order::Join { invite, yes }) => join(common, invite, *yes),
            Some(Order::Down { yes }) => down(common, *yes),
            Some(Order::Maintenance { off }) => maintenance(common, !off),
            Some(Order::Remove { yes, force }) => remove(common, *yes, *force),
            Some(Order::Replace { yes }) => {
                let partner = partner(common)?;
                confirm(
                    *yes,
                    &format!(
                        "{partner} is to be replaced by another host. It must never come back as it \
                         is: its disk is to be erased, or Lanward's folder on it."
                    ),
                )?;
                invite(common, &Request::PairReplace)
            }
            Some(Order::Log { lines }) => log(common, *lines),
        }
    }
}

fn status(common: &Common) -> Done {
    let data = daemon::ask(common, &Request::Status)?;
    let shown: Shown = daemon::read(&data)?;
    if common.json {
        text::print_json(&data["pair"]);
    } else {
        shown.tell_pair();
    }
    Ok(shown.code())
}

fn invite(common: &Common, request: &Request) -> Done {
    let data = daemon::ask(common, request)?;
    let reply: InviteReply = daemon::read(&data)?;
    if common.json {
        text::print_json(&data);
        return Ok(ExitCode::SUCCESS);
    }
    text::print_line(&format!("On the second host, within {}:", text::for_long(reply.valid_secs)));
    text::print_line("");
    text::print_line(&format!("  lanward pair join {}", text::clean(&reply.invite)));
    Ok(ExitCode::SUCCESS)
}

fn join(common: &Common, invite: &str, yes: bool) -> Done {
    let held: Held = daemon::read(&daemon::ask(common, &Request::PairHeld)?)?;
    let holds = in_words(&held);
    if !holds.is_empty() {
        let question = format!(
            "This host holds {holds} of its own. The other host's household replaces all of it; \
             a copy is saved first."
        );
        // Nothing is lost for good, so a script need not say --yes.
        if std::io::stdin().is_terminal() {
            confirm(yes, &question)?;
        } else if !common.json {
            text::print_text(&question);
        }
    }
    let request = Request::PairJoin { invite: invite.trim().to_owned() };
    let data = daemon::ask(common, &request)?;
    let reply: JoinReply = daemon::read(&data)?;
    if common.json {
        text::print_json(&data);
        return Ok(ExitCode::SUCCESS);
    }
    let partner = text::clean(&reply.partner);
    text::print_line(&format!("This host and {partner} are a pair. It has {partner}'s household."));
    if let Some(backup) = &reply.backup {
        let dropped = in_words(&reply.dropped);
        let what = if dropped.is_empty() { String::new() } else { format!(" ({dropped})") };
        text::print_text(&format!(
            "What it held before{what} is saved in {}.",
            text::clean(backup)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// Such as `3 leases and 1 network`; empty for nothing.
fn in_words(held: &Held) -> String {
    let counts = [
        (held.leases, "lease", "leases"),
        (held.networks, "network", "networks"),
        (held.reservations, "reservation", "reservations"),
        (held.lists, "list", "lists"),
    ];
    let words: Vec<String> = counts
        .iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{count} {}", if *count == 1 { one } else { many }))
        .collect();
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

fn down(common: &Common, yes: bool) -> Done {
    let partner = partner(common)?;
    confirm(
        yes,
        &format!(
            "You say that {partner} is off. It must stay off, or be connected to this host when it \
             starts again. This host first looks for it on every network."
        ),
    )?;
    let data = daemon::ask(common, &Request::PairDown)?;
    told(
        common,
        &data,
        &format!(
            "{partner} counts as off. Once the leases it may have given have ended, this host uses \
             every address; when {partner} is back, the two go on as a pair by themselves."
        ),
    )
}

fn maintenance(common: &Common, on: bool) -> Done {
    let partner = partner(common)?;
    let data = daemon::ask(common, &Request::PairMaintenance { on })?;
    let sentence = if on {
        format!(
            "{partner} serves DHCP for everybody now; this host answers DNS only. It is safe to \
             reboot or to switch off. It takes its part again by itself at its next start, or with \
             `lanward pair maintenance --off`."
        )
    } else {
        "This host takes its part again.".to_owned()
    };
    told(common, &data, &sentence)
}

fn remove(common: &Common, yes: bool, force: bool) -> Done {
    // A host that was removed itself has no partner to name.
    let partner = partner(common).unwrap_or_else(|_| "the other host".to_owned());
    confirm(
        yes,
        &format!(
            "{partner} is to be removed: this host goes on alone with the household, and your \
             network stops when it stops."
        ),
    )?;
    let data = daemon::ask(common, &Request::PairRemove { force })?;
    let reply: RemoveReply = daemon::read(&data)?;
    let sentence = match &reply.partner {
        None => "This host is a household of its own now.".to_owned(),
        Some(name) if reply.told => format!(
            "{name} is removed: it was told, and serves no DHCP any more. To undo this, run \
             `lanward pair invite` here and `lanward pair join` on {name}."
        ),
        Some(name) => format!(
            "{name} is removed, and could not be told. Before it is switched on again on this \
             network, erase Lanward's data folder on it. To undo this, run `lanward pair invite` \
             here, and on {name} first `lanward pair remove --force`, then `lanward pair join`."
        ),
    };
    told(common, &data, &sentence)
}

fn log(common: &Common, lines: usize) -> Done {
    let data = daemon::ask(common, &Request::PairLog { limit: lines })?;
    if common.json {
        text::print_json(&data);
        return Ok(ExitCode::SUCCESS);
    }
    let entries: Vec<Entry> = daemon::read(&data)?;
    if entries.is_empty() {
        text::print_line("Nothing has happened yet.");
    }
    for entry in entries.iter().rev() {
        let zoned = entry.at.to_zoned(jiff::tz::TimeZone::system());
        let at = zoned.strftime("%Y-%m-%d %H:%M:%S");
        text::print_text(&format!(
            "{at}  {} {}: {}",
            text::clean(&entry.who),
            text::clean(&entry.what),
            text::clean(&entry.why)
        ));
    }
    Ok(ExitCode::SUCCESS)
}

/// The partner's name.
fn partner(common: &Common) -> Result<String, Failure> {
    let shown: Shown = daemon::read(&daemon::ask(common, &Request::Status)?)?;
    let partner = shown.pair.partner.map(|partner| text::clean(&partner.name));
    partner.ok_or_else(|| Failure::new("This host has no partner."))
}

fn told(common: &Common, data: &serde_json::Value, sentence: &str) -> Done {
    if common.json {
        text::print_json(data);
    } else {
        text::print_text(sentence);
    }
    Ok(ExitCode::SUCCESS)
}

/// Goes on where the user says so.
fn confirm(yes: bool, what: &str) -> Result<(), Failure> {
    if yes {
        return Ok(());
    }
    if !std::io::stdin().is_terminal() {
        return Err(Failure { code: USAGE, ..Failure::new(what) }
            .fix("Nothing was changed. Say --yes to do it."));
    }
    text::print_text(what);
    text::complain("Go on? [y/N]");
    let mut answer = String::new();
    let _ = std::io::stdin().read_line(&mut answer);
    match answer.trim() {
        "y" | "Y" | "yes" => Ok(()),
        _ => Err(Failure::new("Nothing was changed.")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_host_holds_is_told_in_words() {
        assert_eq!(in_words(&Held::default()), "");
        let held = Held { leases: 1, ..Held::default() };
        assert_eq!(in_words(&held), "1 lease");
        let held = Held { leases: 12, networks: 1, lists: 2, ..held };
        assert_eq!(in_words(&held), "12 leases, 1 network and 2 lists");
    }
}
