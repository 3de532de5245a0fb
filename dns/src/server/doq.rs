//! DNS over dedicated QUIC connections (RFC 9250): a stream for each question.

use std::sync::Arc;

use quinn::{Connection, RecvStream, SendStream, VarInt};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::gate::{Busy, Place};
use super::options::has_keepalive;
use super::quic::close;
use super::{ConnectionLimits, Handler};
use crate::counters::Tally;
use crate::{Asker, DropReason};

/// RFC 9250, 4.3.
mod code {
    pub(super) const NO_ERROR: u32 = 0;
    pub(super) const INTERNAL_ERROR: u32 = 1;
    pub(super) const PROTOCOL_ERROR: u32 = 2;
    pub(super) const REQUEST_CANCELLED: u32 = 3;
}

/// Answers the questions of one connection until it ends or is idle.
pub(super) async fn serve(
    connection: &Connection,
    asker: Asker,
    place: &Place,
    handler: &Handler,
    tally: &Arc<Tally>,
) {
    let limits = place.limits();
    let mut questions = JoinSet::new();
    let mut idle = std::pin::pin!(place.idle(limits.encrypted_idle));
    loop {
        let (send, receive) = tokio::select! {
            stream = connection.accept_bi() => match stream {
                Ok(stream) => stream,
                // The client has gone.
                Err(_) => return,
            },
            () = &mut idle => return close(connection, code::NO_ERROR),
        };
        // No more than the transport lets a client open.
        while questions.try_join_next().is_some() {}
        let mut question = Stream { send, receive, _busy: place.busy() };
        let (connection, handler, tally) = (connection.clone(), handler.clone(), tally.clone());
        questions.spawn(async move {
            if question.answer(asker, limits, &handler, &tally).await.is_err() {
                tally.dropped(DropReason::Stream);
                // Before the stream is let go of: that would end it as if it had been answered.
                close(&connection, code::PROTOCOL_ERROR);
            }
        });
    }
}

struct Stream {
    send: SendStream,
    receive: RecvStream,
    _busy: Busy,
}

/// The client does not keep to the protocol.
struct Broken;

impl Stream {
    fn stop(&mut self, code: u32) {
        let _ = self.send.reset(VarInt::from_u32(code));
    }

    async fn answer(
        &mut self,
        asker: Asker,
        limits: ConnectionLimits,
        handler: &Handler,
        tally: &Tally,
    ) -> Result<(), Broken> {
        let whole = timeout(limits.idle, self.receive.read_to_end(2 + usize::from(u16::MAX)));
        let read = match whole.await {
            Ok(Ok(read)) => read,
            Ok(Err(quinn::ReadToEndError::TooLong)) => return Err(Broken),
            // It thought better of it, has gone, or is too slow.
            Ok(Err(quinn::ReadToEndError::Read(_))) | Err(_) => {
                tally.dropped(DropReason::Stream);
                self.stop(code::REQUEST_CANCELLED);
                return Ok(());
            }
        };
        // RFC 9250, 4.2 and 4.2.1: one message, all of it, with an id of zero.
        let [len0, len1, packet @ ..] = read.as_slice() else { return Err(Broken) };
        if usize::from(u16::from_be_bytes([*len0, *len1])) != packet.len()
            || !packet.starts_with(&[0, 0])
            || has_keepalive(packet)
        {
            return Err(Broken);
        }
        match handler.answer(packet, asker, tally).await {
            Ok(answer) => {
                let answer = answer.get(..usize::from(u16::MAX)).unwrap_or(&answer);
                let len = (answer.len() as u16).to_be_bytes();
                let sent = async {
                    self.send.write_all(&len).await?;
                    self.send.write_all(answer).await
                };
                if !matches!(timeout(limits.idle, sent).await, Ok(Ok(()))) {
                    tally.dropped(DropReason::Send);
                    return Ok(());
                }
                let _ = self.send.finish();
            }
            Err(DropReason::Short | DropReason::Response) => return Err(Broken),
            Err(reason) => {
                tally.dropped(reason);
                self.stop(code::INTERNAL_ERROR);
            }
        }
        Ok(())
    }
}
