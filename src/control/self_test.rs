//! Whether this host's DNS answers: asked by itself, and told to everybody who acts on it. The
//! service addresses, the pages, the command line, and through them keepalived or a routing daemon
//! all hear the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lanward_web::view::Health;
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::io::self_test;

/// How often, while somebody acts on it: service addresses move by it, or a program asks for it.
const EVERY: Duration = Duration::from_millis(500);
/// How often otherwise: an idle host is to sleep.
const RARELY: Duration = Duration::from_secs(5);
/// For so long after it was asked for, somebody acts on it.
const INTEREST: Duration = Duration::from_secs(10);
/// A server that does not answer for so long is not well.
const PATIENCE: Duration = Duration::from_millis(1500);

/// What is known; clones know the same.
#[derive(Clone, Debug)]
pub struct HealthWatch {
    to: Arc<watch::Sender<Health>>,
    asked: Arc<watch::Sender<Option<Instant>>>,
}

impl HealthWatch {
    /// What is known now. Who asks will ask again, and has it looked at more often for a while.
    pub fn now(&self) -> Health {
        self.asked.send_replace(Some(Instant::now()));
        *self.to.borrow()
    }

    /// This host begins to stop: it is not to be asked any more, whatever it answers.
    pub(super) fn stopping(&self) {
        self.to.send_replace(Health::Stopping);
    }

    fn is_asked_for(&self) -> bool {
        self.asked.borrow().is_some_and(|at| at.elapsed() < INTEREST)
    }

    fn set(&self, well: bool) {
        let next = if well { Health::Answers } else { Health::Silent };
        self.to.send_if_modified(|now| {
            let differs = *now != next && *now != Health::Stopping;
            if differs {
                *now = next;
            }
            differs
        });
    }
}

/// Starts to ask the server that listens on `listen`; `acted_on` tells whether service addresses
/// depend on it. Must be called within a tokio runtime.
pub(super) fn start(
    listen: &[SocketAddr],
    acted_on: watch::Receiver<bool>,
) -> (HealthWatch, mpsc::Receiver<bool>) {
    let health = HealthWatch {
        to: Arc::new(watch::Sender::new(Health::Starting)),
        asked: Arc::new(watch::Sender::new(None)),
    };
    let (tell, tested) = mpsc::channel(4);
    if let Some(server) = self_test::target(listen) {
        tokio::spawn(keep_asking(server, health.clone(), tell, acted_on));
    }
    (health, tested)
}

async fn keep_asking(
    server: SocketAddr,
    health: HealthWatch,
    tell: mpsc::Sender<bool>,
    mut acted_on: watch::Receiver<bool>,
) {
    let mut asked_for = health.asked.subscribe();
    let mut fails_since = None;
    loop {
        let asked = Instant::now();
        let answered = self_test::answers(server).await;
        fails_since = (!answered).then(|| fails_since.unwrap_or(asked));
        let was_well = *health.to.borrow() == Health::Answers;
        let well = fails_since.is_none_or(|since| was_well && since.elapsed() < PATIENCE);
        health.set(well);
        if tell.send(answered).await.is_err() {
            return;
        }
        // A server that has just failed to answer is asked again soon, whoever wants to know.
        let rarely = answered && !*acted_on.borrow_and_update() && !health.is_asked_for();
        asked_for.mark_unchanged();
        let pause = tokio::time::sleep_until(asked + if rarely { RARELY } else { EVERY });
        tokio::select! {
            () = pause => {}
            Ok(()) = acted_on.changed(), if rarely => {}
            Ok(()) = asked_for.changed(), if rarely => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use tokio::net::UdpSocket;

    use super::*;

    /// A server that counts what it is asked.
    async fn server() -> (SocketAddr, Arc<AtomicUsize>) {
        let socket = UdpSocket::bind("127.0.0.1:0").await.expect("a socket");
        let addr = socket.local_addr().expect("an address");
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        tokio::spawn(async move {
            let mut query = [0; 512];
            while let Ok((len, from)) = socket.recv_from(&mut query).await {
                counted.fetch_add(1, Ordering::Relaxed);
                query[2] |= 0x80;
                let _ = socket.send_to(&query[..len], from).await;
            }
        });
        (addr, count)
    }

    async fn in_a_moment() {
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }

    #[tokio::test]
    async fn an_idle_host_asks_itself_rarely_until_somebody_acts_on_it() {
        let (addr, count) = server().await;
        let (depends, acted_on) = watch::channel(false);
        let (health, mut tested) = start(&[addr], acted_on);
        tokio::spawn(async move { while tested.recv().await.is_some() {} });
        in_a_moment().await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
        assert_eq!(health.now(), Health::Answers);
        in_a_moment().await;
        assert!(count.load(Ordering::Relaxed) >= 3, "a program asks");

        let (addr, count) = server().await;
        let (_health, mut tested) = start(&[addr], depends.subscribe());
        tokio::spawn(async move { while tested.recv().await.is_some() {} });
        in_a_moment().await;
        assert_eq!(count.load(Ordering::Relaxed), 1);
        depends.send_replace(true);
        in_a_moment().await;
        assert!(count.load(Ordering::Relaxed) >= 3, "service addresses do");
    }

    #[tokio::test]
    async fn a_server_that_falls_silent_is_found_out_without_waiting_for_the_next_rare_look() {
        // Nobody listens there any more.
        let addr = UdpSocket::bind("127.0.0.1:0").await.expect("a socket").local_addr();
        let (_depends, acted_on) = watch::channel(false);
        let (health, mut tested) = start(&[addr.expect("an address")], acted_on);
        assert_eq!(tested.recv().await, Some(false));
        assert_eq!(*health.to.borrow(), Health::Silent);
        let asked = tokio::time::timeout(Duration::from_secs(3), tested.recv()).await;
        assert_eq!(asked.ok().flatten(), Some(false), "it is asked again soon");
    }
}
