//! The checks while no hub runs: whether one could start.

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use rustix::fs::Access;

use super::Report;
use crate::cli::format::bytes;
use crate::config::Config;
use crate::domain::Clock;

/// With less free space than this, starting makes little sense.
const LEAST_ROOM: u64 = 1 << 30;

/// The address that clients would use.
pub(super) fn endpoint(config: &Config) -> String {
    let public = config.hub.public_url.trim_end_matches('/');
    if !public.is_empty() {
        return public.to_owned();
    }
    let mut addr = config.hub.listen;
    if addr.ip().is_unspecified() {
        addr.set_ip(std::net::Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{addr}")
}

pub(super) fn look(report: &mut Report, config: &Config) {
    for (name, addr, key) in
        [("hub port", config.hub.listen, "hub.listen"), ("admin port", config.admin.listen, "admin.listen")]
    {
        port(report, name, addr, key);
    }
    match config.exposed() {
        none if none.is_empty() => report.ok("exposure", "only this machine would reach both listeners"),
        exposed => report.ok("exposure", format!("once the hub runs, {}", exposed.join("; "))),
    }
    match crate::upstream::proxy_of(&config.upstream) {
        Some((proxy, source)) => report.ok("upstream proxy", format!("{proxy} ({source})")),
        None => report.ok("upstream proxy", "none"),
    }
    data_dir(report, &config.store.data_dir);
    database(report, config);
}

/// Tries what the hub will need of it.
pub(super) async fn object_store(report: &mut Report, config: &Config) {
    match crate::app::try_object_store(config, &Clock::system()).await {
        Ok(None) => {}
        Ok(Some((name, steps))) => {
            match steps.iter().find_map(|step| Some((step.what, step.outcome.as_ref().err()?))) {
                None => report.ok("object store", format!("{name}: can be read and written")),
                Some((what, why)) => {
                    let advice = "check its address, bucket and credentials (the section [object])";
                    report.fail("object store", format!("{name}: could not {what}: {why}"), advice);
                }
            }
        }
        Err(error) => report.fail("object store", format!("{error:#}"), "correct the section [object]"),
    }
}

fn port(report: &mut Report, name: &'static str, addr: SocketAddr, key: &str) {
    if addr.port() == 0 {
        return report.ok(name, format!("{addr} picks a free port"));
    }
    match TcpListener::bind(addr) {
        Ok(_) => report.ok(name, format!("{addr} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let text = format!("another program is listening on {addr}");
            report.fail(name, text, format!("stop it, or choose another {key}"));
        }
        Err(error) => report.fail(name, format!("cannot listen on {addr}: {error}"), format!("choose another {key}")),
    }
}

fn data_dir(report: &mut Report, dir: &Path) {
    // What is not there yet is made in the nearest folder that is.
    let existing = nearest_existing(dir);
    let shown = dir.display();
    if !existing.is_dir() {
        let text = format!("{} is not a folder", existing.display());
        return report.fail("data directory", text, "choose another store.data_dir (MODELHUB_DATA_DIR)");
    }
    if let Err(error) = rustix::fs::access(&existing, Access::WRITE_OK | Access::EXEC_OK) {
        let text = format!("{shown} is not writable ({error})");
        return report.fail(
            "data directory",
            text,
            "make it writable for this user, or choose another MODELHUB_DATA_DIR",
        );
    }
    match rustix::fs::statvfs(&existing) {
        Ok(stat) => {
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let text = format!("{shown}, {} free", bytes(free));
            if free < LEAST_ROOM {
                report.fail("data directory", text, "free some space, or choose another MODELHUB_DATA_DIR");
            } else {
                report.ok("data directory", text);
            }
        }
        Err(error) => report.warn("data directory", format!("{shown}: cannot read the free space ({error})"), ""),
    }
}

fn nearest_existing(dir: &Path) -> PathBuf {
    let found = dir.ancestors().find(|ancestor| !ancestor.as_os_str().is_empty() && ancestor.exists());
    found.map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

fn database(report: &mut Report, config: &Config) {
    let Some(url) = config.database.url.get() else {
        return report.ok("database", "SQLite in the data directory");
    };
    if let Some(path) = url.strip_prefix("sqlite:") {
        return report.ok("database", format!("SQLite at {}", path.trim_start_matches("//")));
    }
    // The address may hold a password: host and port only.
    let parsed = url::Url::parse(url).ok();
    let Some((host, port)) = parsed.and_then(|url| Some((url.host_str()?.to_owned(), url.port().unwrap_or(5432))))
    else {
        return report.warn("database", "PostgreSQL, from database.url; not checked", "");
    };
    let reached = std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port)).map(|addrs| {
        let patience = std::time::Duration::from_secs(3);
        addrs.into_iter().any(|addr| std::net::TcpStream::connect_timeout(&addr, patience).is_ok())
    });
    match reached {
        Ok(true) => report.ok("database", format!("a server is listening on {host}:{port}")),
        Ok(false) => {
            report.fail(
                "database",
                format!("cannot connect to {host}:{port}"),
                "start PostgreSQL, or change database.url",
            );
        }
        Err(error) => report.fail("database", format!("{host}: {error}"), "change database.url"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    #[test]
    fn a_port_that_is_taken_and_a_file_in_place_of_a_folder_fail() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let mut report = Report::default();
        port(&mut report, "hub port", taken.local_addr().unwrap(), "hub.listen");
        let file = tempfile::NamedTempFile::new().unwrap();
        data_dir(&mut report, file.path());
        assert_eq!(report.count(Verdict::Fail), 2, "{:?}", report.0);
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(nearest_existing(&dir.path().join("a/b")), dir.path());
    }

    #[test]
    fn whatever_others_can_reach_is_said() {
        let exposure = |flags: &[(&str, &str)]| {
            let data_dir = tempfile::tempdir().unwrap();
            let mut all = vec![("store.data_dir", data_dir.path().to_str().unwrap().to_owned())];
            all.extend(flags.iter().map(|(key, text)| (*key, (*text).to_owned())));
            let mut report = Report::default();
            look(&mut report, &Config::load(None, std::iter::empty(), &all).unwrap());
            report.0.into_iter().find(|finding| finding.name == "exposure").unwrap().text
        };
        let free = [("hub.listen", "127.0.0.1:0"), ("admin.listen", "127.0.0.1:0")];
        assert!(exposure(&free).contains("only this machine"));
        let admin = [free[0], ("admin.listen", "0.0.0.0:0"), ("admin.token", "0123456789abcdef0123456789abcdef")];
        assert!(exposure(&admin).contains("other machines can reach the admin API"));
        assert!(
            exposure(&[("hub.listen", "0.0.0.0:0"), free[1]]).contains("other machines can download through the hub")
        );
    }
}
