//! Reading the settings files from the disk.

use std::path::{Path, PathBuf};

use super::host::HostConfig;
use super::household::Declared;
use super::report::Report;

/// Where `lanward.toml` is when nobody says otherwise.
pub const DEFAULT_PATH: &str = "/etc/lanward/lanward.toml";

/// This host's settings, and the household's where a file declares it.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The file; none: there is none, and what is in force are safe defaults.
    pub path: Option<PathBuf>,
    /// This host's settings.
    pub host: HostConfig,
    /// The household as its file declares it.
    pub household: Option<Declared>,
}

/// Reads `lanward.toml` from `config`, else from its usual place; a host without one gets safe
/// defaults. The household's file is read too when it names one. The error has a report for each
/// file with mistakes.
pub fn load(config: Option<&Path>) -> Result<Loaded, Vec<Report>> {
    let usual = Path::new(DEFAULT_PATH);
    let Some(path) = config.or_else(|| usual.exists().then_some(usual)) else {
        let host = HostConfig::unconfigured(&hostname(), state_folder(), may_bind_low_ports());
        return Ok(Loaded { path: None, host, household: None });
    };
    let host = read_host(path).map_err(|report| vec![report])?;
    let household = host.household.as_deref().map(read_household).transpose();
    let household = household.map_err(|report| vec![report])?;
    Ok(Loaded { path: Some(path.to_owned()), host, household })
}

/// Reads one `lanward.toml`.
pub fn read_host(path: &Path) -> Result<HostConfig, Report> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Report::unreadable(&name, &e))?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let folder = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    HostConfig::parse(&name, text, &folder, &hostname())
}

/// Reads one `household.toml`.
pub fn read_household(path: &Path) -> Result<Declared, Report> {
    let name = path.display().to_string();
    let text = std::fs::read_to_string(path).map_err(|e| Report::unreadable(&name, &e))?;
    Declared::parse(&name, text)
}

/// The host's own name, its first label.
fn hostname() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let name = name.trim().split('.').next().unwrap_or_default().to_ascii_lowercase();
    if name.is_empty() { "lanward".to_owned() } else { name }
}

/// Where a host without settings keeps its data: the user's state folder (XDG base directories),
/// the system's for root.
pub fn state_folder() -> PathBuf {
    let absolute =
        |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    if nix::unistd::geteuid().is_root() {
        return PathBuf::from("/var/lib/lanward");
    }
    absolute("XDG_STATE_HOME")
        .or_else(|| absolute("HOME").map(|home| home.join(".local/state")))
        .unwrap_or_else(std::env::temp_dir)
        .join("lanward")
}

/// Whether this process may listen on DNS's own port, found by doing it.
fn may_bind_low_ports() -> bool {
    std::net::UdpSocket::bind(("127.0.0.1", 53)).is_ok()
}
