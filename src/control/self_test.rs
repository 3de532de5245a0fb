//! Whether this host's DNS answers: asked by itself twice a second, and told to everybody who acts
//! on it. The service addresses, the pages, the command line, and through them keepalived or a
//! routing daemon all hear the same.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use lanward_web::view::Health;
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior};

use crate::io::self_test;

/// How often.
const EVERY: Duration = Duration::from_millis(500);
/// A server that does not answer for so long is not well.
const PATIENCE: Duration = Duration::from_secs(2);

/// What is known; clones know the same.
#[derive(Clone, Debug)]
pub(super) struct HealthWatch {
    to: Arc<watch::Sender<Health>>,
}

impl HealthWatch {
    /// For whoever tells others.
    pub(super) fn subscribe(&self) -> watch::Receiver<Health> {
        self.to.subscribe()
    }

    /// This host begins to stop: it is not to be asked any more, whatever it answers.
    pub(super) fn stopping(&self) {
        self.to.send_replace(Health::Stopping);
    }
}

/// Starts to ask the server that listens on `listen`. Must be called within a tokio runtime.
pub(super) fn start(listen: &[SocketAddr]) -> (HealthWatch, mpsc::Receiver<bool>) {
    let health = HealthWatch { to: Arc::new(watch::Sender::new(Health::Starting)) };
    let (tell, tested) = mpsc::channel(4);
    if let Some(server) = self_test::target(listen) {
        tokio::spawn(keep_asking(server, health.clone(), tell));
    }
    (health, tested)
}

async fn keep_asking(server: SocketAddr, health: HealthWatch, tell: mpsc::Sender<bool>) {
    let mut ticks = tokio::time::interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut answered_at = None;
    loop {
        ticks.tick().await;
        let answered = self_test::answers(server).await;
        if answered {
            answered_at = Some(Instant::now());
        }
        let well = answered_at.is_some_and(|at| at.elapsed() < PATIENCE);
        let next = if well { Health::Answers } else { Health::Silent };
        health.to.send_if_modified(|now| {
            let differs = *now != next && *now != Health::Stopping;
            if differs {
                *now = next;
            }
            differs
        });
        if tell.send(answered).await.is_err() {
            return;
        }
    }
}
