//! Asks this DNS server and Unbound the same questions and compares what they say.
//!
//!     differential [--questions N] [--seed S] [--recorded FILE] [--show N]
//!
//! Both forward to one small name server of this program's, which knows a zone with everything that
//! is hard: aliases, wildcards, empty non-terminals, delegations, unknown types, answers too large
//! for UDP, failures. The questions are made from the seed, or read from FILE, a `NAME TYPE` a
//! line. Compared are the response code, the flags AA, AD, RA, TC, RD and CD, and the three
//! sections, sorted. A difference with a known reason is counted under it; without one it is shown,
//! and the exit code is 1. `unbound` must be installed.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "a program for the terminal")]

mod authority;
mod compare;
mod peer;
mod questions;

use std::collections::BTreeMap;
use std::error::Error;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use hickory_proto::op::Message;
use questions::Asked;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinSet;

/// Questions on their way at once.
const AT_ONCE: usize = 32;

struct Options {
    questions: usize,
    seed: u64,
    recorded: Option<String>,
    show: usize,
}

impl Options {
    fn read() -> Result<Self, Box<dyn Error>> {
        let mut options = Self { questions: 10_000, seed: 1, recorded: None, show: 20 };
        let mut args = std::env::args().skip(1);
        while let Some(arg) = args.next() {
            let value = args.next().ok_or_else(|| format!("{arg} needs a value"))?;
            match arg.as_str() {
                "--questions" => options.questions = value.parse()?,
                "--seed" => options.seed = value.parse()?,
                "--recorded" => options.recorded = Some(value),
                "--show" => options.show = value.parse()?,
                _ => return Err(format!("unknown option {arg}").into()),
            }
        }
        Ok(options)
    }
}

#[tokio::main]
async fn main() -> Result<ExitCode, Box<dyn Error>> {
    let options = Options::read()?;
    let asked = match &options.recorded {
        Some(file) => questions::recorded(&std::fs::read_to_string(file)?)?,
        None => questions::made(options.questions, options.seed),
    };
    let upstream = authority::start().await?;
    let peer = peer::Unbound::start(upstream).await?;
    let (_server, ours) = peer::lanward(upstream).await?;
    println!("{} questions to {ours} and Unbound at {}", asked.len(), peer.addr);
    let differences = compare_all(asked, ours, peer.addr).await;
    drop(peer);
    let mut unexplained = 0;
    let mut reasons: BTreeMap<&str, usize> = BTreeMap::new();
    for (asked, difference) in &differences {
        match difference.reason {
            Some(reason) => *reasons.entry(reason).or_default() += 1,
            None => {
                unexplained += 1;
                if unexplained <= options.show {
                    println!("\n{asked}\n{}", difference.text);
                }
            }
        }
    }
    println!();
    for (reason, count) in reasons {
        println!("{count:6}  {reason}");
    }
    println!("{unexplained:6}  differences without a known reason");
    Ok(ExitCode::from(u8::from(unexplained > 0)))
}

async fn compare_all(
    asked: Vec<Asked>,
    ours: SocketAddr,
    theirs: SocketAddr,
) -> Vec<(Asked, compare::Difference)> {
    let mut all = JoinSet::new();
    let mut differences = Vec::new();
    let mut take = |done: Option<(Asked, Option<compare::Difference>)>| {
        if let Some((asked, Some(difference))) = done {
            differences.push((asked, difference));
        }
    };
    for question in asked {
        if all.len() >= AT_ONCE {
            take(all.join_next().await.and_then(Result::ok));
        }
        all.spawn(async move {
            let packet = question.packet();
            let (a, b) =
                tokio::join!(ask(ours, &packet, question.tcp), ask(theirs, &packet, question.tcp));
            let difference = compare::compare(&question, a.as_ref(), b.as_ref());
            (question, difference)
        });
    }
    while let Some(done) = all.join_next().await {
        take(done.ok());
    }
    differences
}

/// The answer, if one comes in time.
async fn ask(server: SocketAddr, packet: &Arc<[u8]>, tcp: bool) -> Option<Message> {
    let wait = Duration::from_secs(12);
    let bytes = tokio::time::timeout(wait, ask_bytes(server, packet, tcp)).await.ok()?.ok()?;
    Message::from_vec(&bytes).ok()
}

async fn ask_bytes(server: SocketAddr, packet: &[u8], tcp: bool) -> std::io::Result<Vec<u8>> {
    let mut bytes = vec![0; 65_536];
    if tcp {
        let mut stream = TcpStream::connect(server).await?;
        let framed = [&(packet.len() as u16).to_be_bytes(), packet].concat();
        stream.write_all(&framed).await?;
        let len = stream.read_u16().await?;
        bytes.truncate(len.into());
        stream.read_exact(&mut bytes).await?;
        return Ok(bytes);
    }
    let socket = UdpSocket::bind(("127.0.0.1", 0)).await?;
    socket.connect(server).await?;
    loop {
        socket.send(packet).await?;
        // Lost datagrams are asked for again, as a client would.
        let again = Duration::from_secs(4);
        if let Ok(received) = tokio::time::timeout(again, socket.recv(&mut bytes)).await {
            bytes.truncate(received?);
            return Ok(bytes);
        }
    }
}
