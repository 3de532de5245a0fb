//! The task that keeps pauses of blocking in force in the DNS pipeline, and ends them.
#![allow(clippy::disallowed_methods, reason = "a shell: it reads the steady clock")]

use std::sync::Arc;
use std::time::Instant;

use lanward_dns::{Pauses, Shared};
use tokio::sync::watch;
use tracing::info;

use super::actor::Changes;
use super::handle::{Handle, Stopping};
use super::wall;
use crate::node::Node;
use crate::pauses::{InForce, Moment, PauseWatch, covered};
use crate::settings::effective::PauseSpec;

/// What the pipeline has of pauses, and what is told of them.
pub(super) struct Pauser {
    dns: Arc<Shared>,
    started: Instant,
    watch: PauseWatch,
    published: Pauses,
    told: watch::Sender<Arc<[PauseSpec]>>,
}

impl Pauser {
    /// Puts the pauses in force that the store held, before the first question comes.
    pub(super) fn start(
        dns: Arc<Shared>,
        node: &Node,
    ) -> (Pauser, watch::Receiver<Arc<[PauseSpec]>>) {
        let (told, seen) = watch::channel(Arc::from([]));
        let (started, watch) = (Instant::now(), PauseWatch::default());
        let mut pauser = Pauser { dns, started, watch, published: Pauses::none(), told };
        let in_force = pauser.judge(&node.effective().pauses);
        let covered = cover(node, &in_force.pauses);
        pauser.publish(covered, in_force.pauses);
        (pauser, seen)
    }

    /// Follows the settings, the leases and the clock until the node's task ends.
    pub(super) async fn run(mut self, control: Handle, mut changes: watch::Receiver<Changes>) {
        loop {
            let seen = *changes.borrow_and_update();
            let Ok(again) = self.look(&control).await else { return };
            // Which addresses a device has matters only while something is paused.
            let paused = !self.told.borrow().is_empty();
            let concerns = |now: &Changes| {
                now.settings != seen.settings || (paused && now.leases != seen.leases)
            };
            let tick = async {
                match again {
                    Some(again) => tokio::time::sleep(again).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                changed = changes.wait_for(concerns) => if changed.is_err() { return },
                () = tick => {}
            }
        }
    }

    async fn look(&mut self, control: &Handle) -> Result<Option<std::time::Duration>, Stopping> {
        let pauses = control.ask(|reading| reading.node.effective().pauses.clone()).await?;
        let in_force = self.judge(&pauses);
        let covered = match in_force.pauses.is_empty() {
            true => Pauses::none(),
            false => {
                let pauses = in_force.pauses.clone();
                control.ask(move |reading| cover(reading.node, &pauses)).await?
            }
        };
        self.publish(covered, in_force.pauses);
        Ok(in_force.again)
    }

    fn judge(&mut self, pauses: &[PauseSpec]) -> InForce {
        self.watch.judge(pauses, Moment { wall: wall::now(), steady: self.started.elapsed() })
    }

    fn publish(&mut self, covered: Pauses, in_force: Vec<PauseSpec>) {
        if self.published != covered {
            self.dns.set_pauses(covered.clone());
            self.published = covered;
        }
        self.told.send_if_modified(|told| {
            let differs = **told != *in_force;
            if differs {
                info!("blocking is paused for: {}", names(&in_force));
                *told = Arc::from(in_force);
            }
            differs
        });
    }
}

fn cover(node: &Node, pauses: &[PauseSpec]) -> Pauses {
    let leases = node.pair().bindings().map(lanward_ha::Binding::lease);
    covered(pauses, node.effective(), leases)
}

fn names(pauses: &[PauseSpec]) -> String {
    let names: Vec<String> = pauses.iter().map(|pause| pause.scope.to_string()).collect();
    if names.is_empty() { "nobody".to_owned() } else { names.join(", ") }
}
