//! The hosts file: an address a line, in the order of the processes, as timely reads it.

use std::{io, path::Path, path::PathBuf};

use super::OWNERS;

/// Where timely's own processes listen when nobody says where.
const FIRST_PORT: usize = 2101;

/// Why the processes cannot be where they are said to be.
#[derive(Debug, thiserror::Error)]
pub enum BadPlace {
    /// No such process.
    #[error(
        "there is no process {process} of {processes}; use --process 0 to {} and the same --processes for \
         each",
        processes.saturating_sub(1)
    )]
    NoSuchProcess {
        /// The number that was given.
        process: usize,
        /// How many there are.
        processes: usize,
    },
    /// The file cannot be read.
    #[error("could not read hosts file \"{}\": {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file has too few lines.
    #[error(
        "hosts file \"{}\" has {found} of the {processes} addresses: write HOST:PORT on a line for each \
         process, that of process {OWNERS} first",
        path.display()
    )]
    TooFew {
        /// The file.
        path: PathBuf,
        /// The addresses in it.
        found: usize,
        /// How many there must be.
        processes: usize,
    },
    /// A line that is no address.
    #[error(
        "hosts file \"{}\", line {line}: \"{found}\" is no address; write HOST:PORT, such as 127.0.0.1:2101",
        path.display()
    )]
    NoAddress {
        /// The file.
        path: PathBuf,
        /// The line's number, from 1.
        line: usize,
        /// What it says.
        found: String,
    },
    /// An address that stands there twice.
    #[error("hosts file \"{}\" has \"{address}\" twice; each process needs an address of its own", path.display())]
    Twice {
        /// The file.
        path: PathBuf,
        /// The address.
        address: String,
    },
}

/// The addresses of so many processes: the first lines of a file that are not empty, or ports of this
/// machine from 2101 on.
///
/// # Errors
/// If the file cannot be read, or has too few addresses or other things.
pub fn hosts(file: Option<&Path>, processes: usize) -> Result<Vec<String>, BadPlace> {
    let Some(path) = file else {
        return Ok((0..processes).map(|of| format!("localhost:{}", FIRST_PORT + of)).collect());
    };
    let unreadable = |source| BadPlace::Unreadable { path: path.into(), source };
    let text = std::fs::read_to_string(path).map_err(unreadable)?;
    read(&text, path, processes)
}

fn read(text: &str, path: &Path, processes: usize) -> Result<Vec<String>, BadPlace> {
    let mut hosts: Vec<String> = Vec::new();
    let lines = text.lines().map(str::trim).zip(1..).filter(|(line, _)| !line.is_empty());
    for (address, line) in lines.take(processes) {
        let port = address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        if !port.is_some_and(|(_, port)| port.parse::<u16>().is_ok_and(|port| port > 0)) {
            return Err(BadPlace::NoAddress { path: path.into(), line, found: address.into() });
        }
        if hosts.iter().any(|known| known == address) {
            return Err(BadPlace::Twice { path: path.into(), address: address.into() });
        }
        hosts.push(address.into());
    }
    match hosts.len() {
        found if found < processes => Err(BadPlace::TooFew { path: path.into(), found, processes }),
        _ => Ok(hosts),
    }
}

/// Whether all of these are loopback addresses, so that all processes are on one machine.
pub(crate) fn is_one_machine(hosts: &[String]) -> bool {
    hosts.iter().all(|address| {
        let host = address.rsplit_once(':').map_or(&**address, |(host, _)| host);
        let host = host.trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str, processes: usize) -> String {
        read(text, "hosts".as_ref(), processes).expect_err("it cannot be used").to_string()
    }

    #[test]
    fn a_hosts_file_has_an_address_for_each_process() {
        let read = |text, processes| read(text, "hosts".as_ref(), processes).expect("addresses");
        assert_eq!(read("a:1\n\n b:2 \nc:3\n", 2), ["a:1", "b:2"]);
        assert!(refusal("a:1\n", 3).contains("1 of the 3 addresses"));
        assert!(refusal("a:1\nb\n", 2).contains("line 2: \"b\""));
        assert!(refusal("a:1\n:2\n", 2).contains("line 2: \":2\""));
        assert!(refusal("a:1\nb:99999\n", 2).contains("b:99999"));
        assert!(refusal("a:1\nb:0\n", 2).contains("b:0"));
        assert!(refusal("a:1\na:1\n", 2).contains("twice"));
        assert_eq!(hosts(None, 2).expect("addresses"), ["localhost:2101", "localhost:2102"]);
    }

    #[test]
    fn loopback_addresses_alone_are_one_machine() {
        let are = |hosts: &[&str]| {
            is_one_machine(&hosts.iter().map(|host| (*host).to_owned()).collect::<Vec<_>>())
        };
        assert!(are(&["127.0.0.1:1", "localhost:2", "[::1]:3", "127.9.9.9:4"]));
        assert!(!are(&["127.0.0.1:1", "192.168.0.7:2"]));
        assert!(!are(&["localhost:1", "localhost.example.org:2"]));
    }
}
