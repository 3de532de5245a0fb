//! What DNSSEC validation has learned, kept on disk: the root may change its keys while this host
//! runs, and must still be believed after a restart.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use lanward_dns::Shared;
use tokio::task::spawn_blocking;
use tracing::{info, warn};

use crate::io::learned_file::LearnedFile;

/// How often it is looked at whether there is something new: a day counts, an hour does not.
const EVERY: Duration = Duration::from_secs(3600);
/// The first time, so that a host that is restarted often learns something too.
const FIRST: Duration = Duration::from_secs(60);

/// Takes back what was learned before. Without it, validation begins with what is built in.
pub(super) fn restore(data_dir: &Path, dns: &Shared) {
    let told = match LearnedFile::new(data_dir).read() {
        Ok(None) => return,
        Ok(Some(text)) => dns.restore_learned(&text).map_err(|error| error.to_string()),
        Err(error) => Err(error.to_string()),
    };
    if let Err(error) = told {
        warn!("what DNSSEC had learned of the root's keys is lost: {error}");
    }
}

/// Saves whatever is new, for ever.
pub(super) async fn keep(data_dir: Arc<Path>, dns: Arc<Shared>) {
    let file = LearnedFile::new(&data_dir);
    let mut saved = None;
    let mut wait = FIRST;
    loop {
        tokio::time::sleep(wait).await;
        wait = EVERY;
        let text = dns.learned();
        if saved.as_ref() == Some(&text) {
            continue;
        }
        let (file, new) = (file.clone(), text.clone());
        match spawn_blocking(move || file.save(&new)).await {
            Ok(Ok(())) => saved = Some(text),
            Ok(Err(error)) => info!("what DNSSEC has learned is not kept: {error}"),
            Err(error) => warn!("saving what DNSSEC has learned: {error}"),
        }
    }
}
