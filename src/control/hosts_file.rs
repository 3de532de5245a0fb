//! The hosts file of this host: read at the start and whenever it changes.

use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use tokio::sync::watch;
use tracing::{info, warn};

use super::household::LOOK;
use crate::hosts_file::{HostsFile, MAX_BYTES};

/// The file, and the version of it that was read.
pub(super) struct Watched {
    file: PathBuf,
    seen: Option<(SystemTime, u64)>,
}

impl Watched {
    /// The file and what it says now: nothing when there is none or it cannot be read.
    pub(super) fn read(file: PathBuf) -> (Watched, Arc<HostsFile>) {
        let watched = Watched { seen: stamp(&file), file };
        let says = read_file(&watched.file).unwrap_or_default();
        (watched, says)
    }

    /// Keeps `says` in step with the file. While the file is gone or cannot be read, what it said
    /// last stays in force.
    pub(super) async fn keep(mut self, says: watch::Sender<Arc<HostsFile>>) {
        let Watched { file, seen } = &mut self;
        loop {
            tokio::time::sleep(LOOK).await;
            let now = stamp(file);
            if now == *seen {
                continue;
            }
            *seen = now;
            if now.is_none() {
                warn!("{} is gone: the names in it stay in force", file.display());
            } else if let Some(read) = read_file(file) {
                info!("{}: {} lines are in force", file.display(), read.entries.len());
                says.send_replace(read);
            }
        }
    }
}

fn read_file(file: &Path) -> Option<Arc<HostsFile>> {
    let text = match text(file) {
        Ok(text) => text,
        Err(error) => {
            warn!("{} is not read: {error}", file.display());
            return None;
        }
    };
    let read = HostsFile::parse(&text);
    for mistake in &read.mistakes {
        warn!("{}:{}: {}", file.display(), mistake.line, mistake.message);
    }
    if read.mistaken > read.mistakes.len() {
        warn!("{} has {} lines that are not used", file.display(), read.mistaken);
    }
    Some(Arc::new(read))
}

fn text(file: &Path) -> std::io::Result<String> {
    let open = std::fs::File::open(file)?;
    if !open.metadata()?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    open.take(MAX_BYTES + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MAX_BYTES {
        return Err(std::io::Error::other(format!("it is larger than {MAX_BYTES} bytes")));
    }
    // A comment may be in whatever encoding.
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}

#[cfg(test)]
mod tests;
