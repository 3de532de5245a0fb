//! `lanward pair`.

use std::process::ExitCode;

use super::status::Shown;
use super::{Common, Done, daemon, text};
use crate::admin::{InviteReply, JoinReply, Request};

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
    },
}

impl Pair {
    pub(super) fn execute(&self, common: &Common) -> Done {
        match &self.order {
            None | Some(Order::Status) => status(common),
            Some(Order::Invite) => invite(common),
            Some(Order::Join { invite }) => join(common, invite),
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

fn invite(common: &Common) -> Done {
    let data = daemon::ask(common, &Request::PairInvite)?;
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

fn join(common: &Common, invite: &str) -> Done {
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
        text::print_line(&format!("What it held before is saved in {}.", text::clean(backup)));
    }
    Ok(ExitCode::SUCCESS)
}
