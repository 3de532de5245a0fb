//! `lanward ca`.

use std::process::ExitCode;

use serde::Deserialize;

use super::{Common, Done, Failure, daemon, text};
use crate::admin::Request;

#[derive(Debug, clap::Args)]
pub(super) struct Ca {
    #[command(subcommand)]
    order: Option<Order>,
    /// Print the certificate alone, for a file.
    #[arg(long)]
    pem: bool,
}

#[derive(Debug, clap::Subcommand)]
enum Order {
    /// Make a new one, for both hosts. Devices that trust the old one must be told.
    New,
}

#[derive(Debug, Deserialize)]
struct Encrypted {
    name: String,
    authority: Option<Authority>,
}

#[derive(Debug, Deserialize)]
struct Authority {
    pem: String,
    fingerprint: String,
    expires: String,
}

impl Authority {
    fn print(&self) {
        self.pem.lines().for_each(|line| text::print_line(&text::clean(line)));
    }
}

impl Ca {
    /// Prints the household's certificate authority.
    pub(super) fn execute(&self, common: &Common) -> Done {
        let request = match self.order {
            None => Request::Authority,
            Some(Order::New) => Request::NewAuthority,
        };
        let data = daemon::ask(common, &request)?;
        let reply: Encrypted = daemon::read(&data)?;
        if common.json {
            text::print_json(&data);
            return Ok(ExitCode::SUCCESS);
        }
        let Some(authority) = &reply.authority else {
            return Err(Failure::new("this host has no certificate authority.")
                .fix("`lanward status` says why."));
        };
        if self.pem {
            authority.print();
            return Ok(ExitCode::SUCCESS);
        }
        let day = authority.expires.split('T').next().unwrap_or_default();
        for line in [
            format!("SHA-256 fingerprint  {}", text::clean(&authority.fingerprint)),
            format!("Good until           {}", text::clean(day)),
            format!("Name to ask          {}", text::clean(&reply.name)),
            String::new(),
        ] {
            text::print_line(&line);
        }
        authority.print();
        text::print_line("");
        text::print_text(
            "Install this certificate on a device to let it ask this household's DNS encrypted. It \
             is good for the household's own names and for private addresses, and for nothing else.",
        );
        text::print_line("For a file: lanward ca --pem > lanward-ca.crt");
        Ok(ExitCode::SUCCESS)
    }
}
