//! The household file of a node that declares one: read at the start and whenever it changes.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use lanward_dhcp::Time;
use tracing::{debug, error, info, warn};

use super::handle::{Handle, Stopping};
use super::wall;
use crate::node::{Input, Node};
use crate::settings::household::Declared;
use crate::settings::load;

/// How often a file's time stamp is looked at. Editors replace files and mounts come and go;
/// a look costs less than telling all of that apart.
pub(super) const LOOK: Duration = Duration::from_secs(2);

/// Puts what the file declares in force on a node that nobody asks yet: not one question is to go by
/// the built-in settings, or by older ones, where the file has others. What is refused stays with
/// [`keep`], which tells why.
pub(super) fn put_in_force(node: &mut Node, now: Time, file: &Path, declared: &Declared) {
    let name = node.pair().name().to_owned();
    let writes = declared.writes(&name, node.records());
    let (count, author) = (writes.len(), file.display().to_string());
    if count == 0 {
        return;
    }
    node.handle(now, Input::Date(wall::date()));
    // Nobody waits for the disk, so the number is nobody's.
    node.handle(now, Input::Edit { id: 0, author, writes });
    if declared.writes(&name, node.records()).is_empty() {
        info!("{count} changes from {} are in force", file.display());
    }
}

/// Puts what the file declares into the household's document, now and after every change of the
/// file. A version with mistakes is told and changes nothing.
pub(super) async fn keep(control: Handle, node: String, file: PathBuf, first: Declared) {
    let mut seen = stamp(&file);
    if apply(&control, &node, &file, &first).await.is_err() {
        return;
    }
    loop {
        tokio::time::sleep(LOOK).await;
        let now = stamp(&file);
        if now == seen {
            continue;
        }
        seen = now;
        if seen.is_none() {
            warn!("{} is gone: what it declared stays in force", file.display());
            continue;
        }
        match load::read_household(&file) {
            Ok(declared) => {
                if apply(&control, &node, &file, &declared).await.is_err() {
                    return;
                }
            }
            Err(report) => error!(
                "{} was not taken, the settings before it stay in force:\n{}",
                file.display(),
                report.render(false)
            ),
        }
    }
}

async fn apply(
    control: &Handle,
    node: &str,
    file: &Path,
    declared: &Declared,
) -> Result<(), Stopping> {
    let (name, shown) = (node.to_owned(), file.display().to_string());
    let wanted = declared.clone();
    let writes = control.ask(move |reading| wanted.writes(&name, reading.node.records())).await?;
    if writes.is_empty() {
        debug!("{shown} says what is in force already");
        return Ok(());
    }
    let count = writes.len();
    match control.edit(&shown, writes).await? {
        Ok(_) => info!("{count} changes from {shown} are in force"),
        Err(error) => error!("{shown} was not taken, the settings before it stay: {error}"),
    }
    Ok(())
}

fn stamp(file: &Path) -> Option<(SystemTime, u64)> {
    let meta = std::fs::metadata(file).ok()?;
    Some((meta.modified().ok()?, meta.len()))
}
