//! Talking to the daemon that runs on this host.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

use super::{Common, FAILED, Failure};
use crate::admin::{Refusal, Reply, Request};
use crate::io::admin_socket::{AskError, ask as ask_socket};
use crate::settings::load::{DEFAULT_PATH, read_host, state_folder};

/// Asks the daemon, and gives what it answered.
pub(super) fn ask(common: &Common, request: &Request) -> Result<Value, Failure> {
    let socket = socket(common);
    match ask_socket(&socket, request) {
        Ok(Reply::Done { data }) => Ok(data),
        Ok(Reply::Refused(refusal)) => Err(refused(&refusal)),
        Err(AskError::NotRunning(path)) => {
            Err(Failure::new(format!("no Lanward runs here ({} does not answer).", path.display()))
                .fix("Start it with `lanward run`, or name its socket with --socket PATH."))
        }
        Err(error @ AskError::Denied(_)) => Err(Failure::new(format!("{error}."))
            .fix("Run this as root, or as a member of the socket's group.")),
        Err(error) => Err(Failure::new(format!("{error}."))),
    }
}

/// What the daemon answered, as `T`.
pub(super) fn read<T: DeserializeOwned>(data: &Value) -> Result<T, Failure> {
    T::deserialize(data).map_err(|error| {
        Failure::new(format!("Lanward's answer is not understood: {error}."))
            .fix("The daemon may be of another version than this command: restart it.")
    })
}

fn refused(refusal: &Refusal) -> Failure {
    Failure { message: refusal.message.clone(), fix: None, code: FAILED }
}

/// Where the daemon's socket is: as told, as the settings say, or where it usually is.
fn socket(common: &Common) -> PathBuf {
    if let Some(socket) = &common.socket {
        return socket.clone();
    }
    let runtime = Path::new("/run/lanward");
    let config = common.config.as_deref().unwrap_or(Path::new(DEFAULT_PATH));
    let configured = read_host(config).ok();
    let mut places: Vec<PathBuf> = Vec::new();
    if let Some(host) = configured {
        // A service has its socket in the runtime folder, one started by hand in its data folder.
        places.push(host.socket(None));
        places.push(host.socket(Some(runtime)));
    } else {
        places.push(state_folder().join("admin.sock"));
        places.push(runtime.join("admin.sock"));
    }
    places.iter().find(|place| place.exists()).unwrap_or(&places[0]).clone()
}
