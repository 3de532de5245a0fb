//! Style, script and mark: compiled in, under a URL with their hash, so that browsers keep them
//! for good.

use std::sync::LazyLock;

use axum::extract::Path;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

struct Asset {
    url: String,
    media_type: &'static str,
    body: &'static [u8],
}

static CSS: LazyLock<Asset> = LazyLock::new(|| {
    asset("lanward", "css", "text/css; charset=utf-8", include_bytes!("../assets/lanward.css"))
});
static JS: LazyLock<Asset> = LazyLock::new(|| {
    asset("lanward", "js", "text/javascript; charset=utf-8", include_bytes!("../assets/lanward.js"))
});
static ICON: LazyLock<Asset> = LazyLock::new(|| {
    asset("lanward", "svg", "image/svg+xml", include_bytes!("../assets/lanward.svg"))
});

fn asset(name: &str, end: &str, media_type: &'static str, body: &'static [u8]) -> Asset {
    let hash = HEXLOWER.encode(&Sha256::digest(body)[..8]);
    Asset { url: format!("/assets/{name}.{hash}.{end}"), media_type, body }
}

/// The URL of the style sheet.
pub(crate) fn css() -> &'static str {
    &CSS.url
}

/// The URL of the script module.
pub(crate) fn js() -> &'static str {
    &JS.url
}

/// The URL of the mark.
pub(crate) fn icon() -> &'static str {
    &ICON.url
}

/// `GET /assets/{file}`
pub(crate) async fn get(Path(file): Path<String>) -> Response {
    let wanted =
        [&CSS, &JS, &ICON].into_iter().find(|a| a.url.strip_prefix("/assets/") == Some(&file));
    match wanted {
        Some(asset) => (
            [
                (header::CONTENT_TYPE, asset.media_type),
                (header::CACHE_CONTROL, "public, max-age=31536000, immutable"),
            ],
            asset.body,
        )
            .into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}
