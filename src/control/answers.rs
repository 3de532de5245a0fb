//! The cached DNS answers' life on disk: taken back at the start, saved now and then and at the
//! end.

use std::path::Path;
use std::time::Duration;

use lanward_dns::AnswerCache;
use tokio::task::spawn_blocking;
use tracing::{debug, info, warn};

use crate::io::cache_file::CacheFile;

/// A crash loses what was learned since; saving more often would only wear an SD card.
const EVERY: Duration = Duration::from_secs(6 * 3600);

/// Who saves the answers.
#[derive(Clone, Debug)]
pub(super) struct SavedAnswers {
    cache: AnswerCache,
    file: CacheFile,
}

impl SavedAnswers {
    pub(super) fn new(data_dir: &Path, cache: AnswerCache) -> SavedAnswers {
        SavedAnswers { cache, file: CacheFile::new(data_dir) }
    }

    /// Takes back what was saved, while DNS is served already, and then saves now and then, for
    /// ever.
    pub(super) async fn run(self) {
        let this = self.clone();
        match spawn_blocking(move || this.file.restore(&this.cache)).await {
            Ok(Ok(0)) => {}
            Ok(Ok(answers)) => debug!("{answers} DNS answers are known from before the restart"),
            Ok(Err(error)) => info!("the DNS answers known before the restart are lost: {error}"),
            Err(error) => warn!("reading saved DNS answers: {error}"),
        }
        loop {
            tokio::time::sleep(EVERY).await;
            self.save().await;
        }
    }

    /// Saves; a failure is told and otherwise of no account.
    pub(super) async fn save(&self) {
        let this = self.clone();
        match spawn_blocking(move || this.file.save(&this.cache)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => info!("DNS answers are not kept over a restart: {error}"),
            Err(error) => warn!("saving DNS answers: {error}"),
        }
    }
}
