//! One question to a plain server that is asked rarely: over UDP, and over TCP when the answer does
//! not fit, seems forged, or does not come because UDP is blocked.

use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::question::{Dice, Question, Shape};
use super::server::Received;
use super::udp::{self, Ended, Sockets, Way};
use crate::wire::{Reading, read};

/// How long a server may take over UDP, and then once more over TCP.
const PATIENCE: Duration = Duration::from_secs(1);

/// Messages over TCP that are no answers, after which it is not waited on.
const STRANGE: usize = 16;

/// The server's answer, NOERROR or NXDOMAIN.
pub(super) async fn ask(server: SocketAddr, question: &Question) -> io::Result<Received> {
    let (sockets, mut way) = (Sockets::default(), Way::FIRST);
    loop {
        let asked = udp::exchange(&sockets, server, question, way, |_| ());
        let over_udp = timeout(PATIENCE, asked).await;
        let ended = match over_udp {
            Ok(Ok(Ended::UseTcp | Ended::OtherCase | Ended::Forged)) | Err(_) => {
                let over_tcp = timeout(PATIENCE, over_tcp(server, question, way.edns)).await;
                // It was silent: that is what there is to tell, not that TCP was as well.
                let silent = |_| io::Error::new(ErrorKind::TimedOut, "no answer in time");
                over_tcp.map_err(silent)?
            }
            Ok(ended) => ended,
        };
        match ended? {
            Ended::Answer(wire, form) => return Ok(Received { wire, form }),
            Ended::NoEdns if way.edns => way.edns = false,
            Ended::Error(rcode) => {
                return Err(io::Error::other(format!("answered with code {}", rcode.0)));
            }
            Ended::NoEdns | Ended::UseTcp | Ended::OtherCase | Ended::Forged => {
                return Err(io::Error::other("its answer is of no use"));
            }
        }
    }
}

/// The same over a connection of its own.
async fn over_tcp(server: SocketAddr, question: &Question, edns: bool) -> io::Result<Ended> {
    let mut stream = TcpStream::connect(server).await?;
    let sent = question.message(Dice::throw().id(), None, Shape { edns, padded: false });
    let framed = [&(sent.len() as u16).to_be_bytes(), sent.as_slice()].concat();
    stream.write_all(&framed).await?;
    let mut received = Vec::new();
    for _ in 0..STRANGE {
        received.resize(stream.read_u16().await?.into(), 0);
        stream.read_exact(&mut received).await?;
        match read(&sent, &received) {
            Reading::NotOurs => {}
            Reading::Unreadable | Reading::OtherCase | Reading::Truncated => break,
            Reading::NoEdns => return Ok(Ended::NoEdns),
            Reading::Error(rcode) => return Ok(Ended::Error(rcode)),
            Reading::Answer(form) => return Ok(Ended::Answer(received, form)),
        }
    }
    Ok(Ended::UseTcp)
}
