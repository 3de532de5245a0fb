//! Who has a port: for the one error message that must name the other program.

use std::fs;
use std::path::Path;

/// A process, as far as this user may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its number.
    pub pid: u32,
    /// Its name, at most 15 bytes of it.
    pub name: String,
}

/// Finds a process that listens on `port` over `protocol` (`udp` or `tcp`). `None` when nobody
/// does, or when this user may not see who.
pub fn owner(protocol: &str, port: u16) -> Option<Owner> {
    let tables = [protocol.to_owned(), format!("{protocol}6")];
    let inodes: Vec<String> = tables
        .iter()
        .filter_map(|table| fs::read_to_string(Path::new("/proc/net").join(table)).ok())
        .flat_map(|text| inodes(&text, port))
        .collect();
    let pids = fs::read_dir("/proc").ok()?.flatten();
    let mut pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.find(|pid| *pid != std::process::id() && holds(*pid, &inodes)).map(|pid| {
        let name = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        Owner { pid, name: name.trim().to_owned() }
    })
}

/// The inodes of sockets bound to `port`, from a table of `/proc/net`.
fn inodes(table: &str, port: u16) -> Vec<String> {
    let port = format!(":{port:04X}");
    let rows = table.lines().skip(1).map(|row| row.split_whitespace().collect::<Vec<_>>());
    rows.filter(|row| {
        let listens = row.get(3).is_some_and(|state| *state == "0A" || *state == "07");
        listens && row.get(1).is_some_and(|local| local.ends_with(&port))
    })
    .filter_map(|row| row.get(9).map(|inode| (*inode).to_owned()))
    .collect()
}

fn holds(pid: u32, inodes: &[String]) -> bool {
    let Ok(fds) = fs::read_dir(format!("/proc/{pid}/fd")) else { return false };
    fds.flatten().filter_map(|fd| fs::read_link(fd.path()).ok()).any(|link| {
        let link = link.to_string_lossy();
        let inode = link.strip_prefix("socket:[").and_then(|rest| rest.strip_suffix(']'));
        inode.is_some_and(|inode| inodes.iter().any(|i| i == inode))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops\n\
        1: 0100007F:0035 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4711 2 0 0\n\
        2: 00000000:0044 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4712 2 0 0\n\
        3: 0100007F:0035 0200007F:1234 01 00000000:00000000 00:00000000 00000000     0        0 4713 2 0 0\n";

    #[test]
    fn only_listeners_on_the_port_count() {
        assert_eq!(inodes(TABLE, 53), ["4711"]);
        assert_eq!(inodes(TABLE, 67), Vec::<String>::new());
    }

    #[test]
    fn a_broken_table_finds_nobody() {
        assert_eq!(inodes("", 53), Vec::<String>::new());
        assert_eq!(inodes("header\nshort row", 53), Vec::<String>::new());
    }
}
