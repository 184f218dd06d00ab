//! Who holds a TCP port, as far as `/proc` tells.
//!
//! For one line of an error message: whatever cannot be read is left out.

use std::fs::{self, File};
use std::io::Read as _;

/// Such as `otelcol (pid 4711)`.
pub(super) fn of_port(port: u16) -> Option<String> {
    let inodes: Vec<String> =
        ["/proc/net/tcp", "/proc/net/tcp6"].into_iter().flat_map(|t| listening(t, port)).collect();
    if inodes.is_empty() {
        return None;
    }
    let targets: Vec<String> = inodes.iter().map(|inode| format!("socket:[{inode}]")).collect();
    let processes = fs::read_dir("/proc").ok()?;
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse::<u32>().ok())
        else {
            continue;
        };
        let Ok(descriptors) = fs::read_dir(process.path().join("fd")) else { continue };
        let holds = descriptors.flatten().any(|descriptor| {
            fs::read_link(descriptor.path())
                .is_ok_and(|link| targets.iter().any(|target| link.as_os_str() == target.as_str()))
        });
        if holds {
            let name = read(&format!("/proc/{pid}/comm")).unwrap_or_default();
            return Some(format!("{} (pid {pid})", name.trim()));
        }
    }
    None
}

/// The inodes of the sockets of one table that listen on the port.
fn listening(table: &str, port: u16) -> Vec<String> {
    let ending = format!(":{port:04X}");
    read(table)
        .unwrap_or_default()
        .lines()
        .filter_map(|line| {
            let mut fields = line.split_ascii_whitespace();
            let local = fields.nth(1)?;
            let state = fields.nth(1)?;
            let inode = fields.nth(5)?;
            (local.ends_with(&ending) && state == LISTEN).then(|| inode.to_owned())
        })
        .collect()
}

fn read(path: &str) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(MAX_BYTES).read_to_string(&mut text).ok()?;
    Some(text)
}

const LISTEN: &str = "0A";
const MAX_BYTES: u64 = 4 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_holder_of_a_port_is_named() {
        let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let holder = of_port(held.local_addr().unwrap().port()).unwrap();
        assert!(holder.contains(&format!("(pid {})", std::process::id())), "{holder}");
        let port = held.local_addr().unwrap().port();
        drop(held);
        assert_eq!(of_port(port), None);
    }
}
