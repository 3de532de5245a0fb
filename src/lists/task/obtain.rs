//! One list: fetched, judged, and stored when it is good.

use std::path::Path;
use std::time::SystemTime;

use lanward_blocklists::inspect;
use lanward_blocklists::refresh::{Held, judge};

use super::super::disk::{Header, ListDir, Version, hex_digest};
use super::super::settings::source_text;
use super::{ListSpec, Source, blocking};
use crate::io::background::{self, behind_all};
use crate::io::fetch::{self, Fetched, Fetcher, Known, Limits, Request};

/// What came of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obtained {
    /// The copy at hand is the newest.
    NotModified,
    /// There is a new copy on disk.
    Stored,
    /// What came is not put into force.
    Held { reason: String, acceptable: bool },
    /// Nothing came.
    Failed(String),
}

/// Tells whether a file has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp(Option<(SystemTime, u64)>);

impl Stamp {
    pub(super) fn of(path: &str) -> Self {
        let meta = std::fs::metadata(path).ok();
        Self(meta.and_then(|meta| Some((meta.modified().ok()?, meta.len()))))
    }
}

/// `rules`: how many the version in force has.
pub(super) async fn obtain(
    dir: &ListDir,
    fetcher: &Fetcher,
    list: &ListSpec,
    rules: Option<u64>,
) -> Obtained {
    let source = source_text(&list.source).to_owned();
    let (of, id) = (dir.clone(), list.id.clone());
    let header = blocking(move || of.header(&id, Version::Good)).await;
    // What is known of another source's copy says nothing about this one.
    let header = header.filter(|header| header.source == source);
    let rules = rules.filter(|_| header.is_some());
    let fetched = match &list.source {
        Source::Builtin => return Obtained::NotModified,
        Source::File(path) => {
            let path = path.clone();
            blocking(move || behind_all(|| read_file(Path::new(&path)))).await
        }
        Source::Url(url) => {
            let urls = std::iter::once(url.clone()).chain(list.mirrors.iter().cloned()).collect();
            let known = header.as_ref().map(|header| Known {
                url: header.url.clone(),
                etag: header.etag.clone(),
                last_modified: header.last_modified.clone(),
            });
            let request = Request { urls, known, allow_private: list.allow_private };
            fetcher.fetch(&request).await.map_err(|errors| errors.to_string())
        }
    };
    match fetched {
        Err(error) => Obtained::Failed(error),
        Ok(Fetched::NotModified) => Obtained::NotModified,
        Ok(Fetched::Content { body, known }) => {
            let (dir, id) = (dir.clone(), list.id.clone());
            let new = Header {
                source,
                url: known.url,
                etag: known.etag,
                last_modified: known.last_modified,
                sha256: String::new(),
            };
            blocking(move || behind_all(|| store(&dir, &id, &body, new, header, rules))).await
        }
    }
}

fn read_file(path: &Path) -> Result<Fetched, String> {
    let limits = Limits::default();
    let told = |error: std::io::Error| format!("{}: {error}", path.display());
    let len = std::fs::metadata(path).map_err(told)?.len();
    if len > limits.unpacked_bytes as u64 {
        return Err(format!("larger than {} MiB", limits.unpacked_bytes >> 20));
    }
    let bytes = background::read(path).map_err(told)?;
    let body = fetch::unpack(bytes, &limits).map_err(|error| error.to_string())?;
    let known = Known { url: path.display().to_string(), ..Known::default() };
    Ok(Fetched::Content { body, known })
}

/// Stores a copy of the other host, whose checksum is right. It was judged there, and somebody
/// may have accepted it there; only what is no list at all is refused.
pub(super) fn take_over(dir: &ListDir, id: &str, header: &Header, text: &[u8]) -> Obtained {
    let report = match inspect(text) {
        Ok(report) => report,
        Err(error) => return Obtained::Failed(error.to_string()),
    };
    if let Err(held) = judge(text, &report, None, true) {
        return Obtained::Failed(format!("the other host's copy: {held}"));
    }
    if let Err(error) = dir.write(id, Version::Good, header, text) {
        return Obtained::Failed(error.to_string());
    }
    dir.remove(id, Version::Held);
    Obtained::Stored
}

/// Judges what came, and stores it.
fn store(
    dir: &ListDir,
    id: &str,
    body: &[u8],
    mut new: Header,
    old: Option<Header>,
    rules: Option<u64>,
) -> Obtained {
    new.sha256 = hex_digest(body);
    if old.as_ref() == Some(&new) {
        return Obtained::NotModified;
    }
    let report = match inspect(body) {
        Ok(report) => report,
        Err(error) => return Obtained::Failed(error.to_string()),
    };
    if let Err(held) = judge(body, &report, rules, false) {
        let acceptable = matches!(held, Held::Shrunk { .. });
        if acceptable && let Err(error) = dir.write(id, Version::Held, &new, body) {
            return Obtained::Failed(error.to_string());
        }
        return Obtained::Held { reason: held.to_string(), acceptable };
    }
    if let Err(error) = dir.write(id, Version::Good, &new, body) {
        return Obtained::Failed(error.to_string());
    }
    dir.remove(id, Version::Held);
    // The same text with another tag is not worth a compilation.
    if old.is_some_and(|old| old.sha256 == new.sha256) {
        Obtained::NotModified
    } else {
        Obtained::Stored
    }
}
