//! What is known of a request before its handler runs.

use std::net::{IpAddr, Ipv4Addr};

use axum::extract::Request;
use axum::http::{HeaderMap, header};

use crate::app::App;
use crate::auth::SessionId;
use crate::serve::Connection;

/// Sent by our own scripts when they look by themselves: it does not keep a session alive.
const BACKGROUND: &str = "x-lanward-background";

/// Colours a browser asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Theme {
    /// As the device has it.
    #[default]
    Auto,
    Light,
    Dark,
}

impl Theme {
    pub(crate) fn from_word(word: &str) -> Theme {
        match word {
            "light" => Theme::Light,
            "dark" => Theme::Dark,
            _ => Theme::Auto,
        }
    }

    pub(crate) fn word(self) -> &'static str {
        match self {
            Theme::Auto => "auto",
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }
}

/// Who asks, from where, for what.
#[derive(Clone, Debug)]
pub(crate) struct Visit {
    pub(crate) session: Option<SessionId>,
    pub(crate) theme: Theme,
    pub(crate) client: IpAddr,
    /// Path and query, for the way back.
    pub(crate) here: String,
    /// The session cookie's name on this port: cookies know no ports, and two nodes may share
    /// one address.
    pub(crate) cookie: String,
}

/// The session that a request claims to be of.
pub(crate) struct Claimed {
    session: Option<SessionId>,
    touch: bool,
}

impl Visit {
    /// What the request says of itself; nobody is admitted yet.
    pub(crate) fn read(request: &Request, connection: Option<Connection>) -> (Visit, Claimed) {
        let headers = request.headers();
        let host = headers.get(header::HOST).and_then(|h| h.to_str().ok()).unwrap_or_default();
        let cookie = match host.rsplit_once(':') {
            Some((_, port)) if !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit()) => {
                format!("lanward_session_{port}")
            }
            _ => "lanward_session".to_owned(),
        };
        let claimed = Claimed {
            session: cookie_value(headers, &cookie).map(SessionId::of),
            touch: !headers.contains_key(BACKGROUND),
        };
        let theme = cookie_value(headers, "lanward_theme").map(Theme::from_word);
        let visit = Visit {
            session: None,
            theme: theme.unwrap_or_default(),
            client: connection.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |c| c.client.ip()),
            here: request.uri().path_and_query().map_or("/", |p| p.as_str()).to_owned(),
            cookie,
        };
        (visit, claimed)
    }

    /// Looks whether the claimed session lives. Where the daemon cannot tell, nobody is let in.
    pub(crate) async fn admit(self, app: &App, claimed: Claimed) -> Visit {
        let session = match claimed.session {
            Some(id) if app.backend.session(id, claimed.touch).await.unwrap_or(false) => Some(id),
            _ => None,
        };
        Visit { session, ..self }
    }
}

fn cookie_value<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .find(|(found, _)| *found == name)
        .map(|(_, value)| value)
}

/// A path on this host to go back to; `/` for anything that could lead elsewhere.
pub(crate) fn safe_path(path: &str) -> &str {
    let local = path.starts_with('/')
        && !path.starts_with("//")
        && !path.contains('\\')
        && path.bytes().all(|b| b.is_ascii_graphic());
    if local { path } else { "/" }
}

#[cfg(test)]
mod tests {
    use super::safe_path;

    #[test]
    fn the_way_back_never_leads_elsewhere() {
        assert_eq!(safe_path("/leases?net=iot&sort=-name"), "/leases?net=iot&sort=-name");
        for bad in ["", "//evil.example", "/\\evil.example", "https://evil.example", "/a\r\nb"] {
            assert_eq!(safe_path(bad), "/", "{bad:?}");
        }
    }
}
