//! The real program in a process of its own.

use std::path::Path;
use std::process::{ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, Signal};
use tokio::io::{AsyncBufReadExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};

/// How long a start or a stop may take. Only a failing test waits this long.
const PATIENCE: Duration = Duration::from_secs(60);

/// Variables that programs find proxies by.
const PROXIES: [&str; 8] =
    ["https_proxy", "HTTPS_PROXY", "http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY"];

/// `modelhub` with these arguments, and an environment of `MODELHUB_*` and proxies that holds only `settings`: `section.key`,
/// or the variable of a proxy as it is.
pub(crate) fn command(arguments: &[&str], settings: &[(&str, &str)]) -> Command {
    // Other packages use this harness too, and have no program.
    let Some(program) = option_env!("CARGO_BIN_EXE_modelhub") else { panic!("only modelhub's own tests start it") };
    let mut command = Command::new(program);
    command.args(arguments).kill_on_drop(true).stdin(Stdio::null());
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("MODELHUB_")) {
        command.env_remove(name);
    }
    for name in PROXIES {
        command.env_remove(name);
    }
    for (key, value) in settings {
        let is_proxy = PROXIES.contains(key);
        let name =
            if is_proxy { (*key).to_owned() } else { format!("MODELHUB_{}", key.replace('.', "_").to_uppercase()) };
        command.env(name, value);
    }
    command
}

fn serve(data_dir: &Path, upstream: &str, settings: &[(&str, &str)]) -> Command {
    let mut all = vec![
        ("store.data_dir", data_dir.to_str().unwrap()),
        ("hub.listen", "127.0.0.1:0"),
        ("admin.listen", "127.0.0.1:0"),
        ("upstream.url", upstream),
        ("log.level", "warn"),
        ("upstream.cdn_hosts", super::MOCK_CDN),
        // The mock names Xet hashes, and has no store for them.
        ("xet.fetch", "never"),
    ];
    all.extend(settings);
    command(&["serve"], &all)
}

/// Runs a command that ends by itself.
pub(crate) async fn run(arguments: &[&str], settings: &[(&str, &str)]) -> Output {
    tokio::time::timeout(PATIENCE, command(arguments, settings).output()).await.expect("the command ends").unwrap()
}

/// A process that serves, or is about to.
pub(crate) struct Server {
    child: Child,
    output: Lines<BufReader<ChildStdout>>,
}

/// Where a process listens.
#[derive(Debug, Clone)]
pub(crate) struct Addresses {
    pub(crate) hub: String,
    pub(crate) admin: String,
}

impl Server {
    /// Starts the process; `addresses` waits for it to listen.
    pub(crate) fn spawn(data_dir: &Path, upstream: &str, settings: &[(&str, &str)]) -> Self {
        Self::start(serve(data_dir, upstream, settings))
    }

    /// As `spawn`, and what it logs goes into a pipe, whose other end is given back.
    #[allow(dead_code, reason = "the binary `it` reads logs, `load` does not")]
    pub(crate) fn spawn_with_log(data_dir: &Path, upstream: &str, settings: &[(&str, &str)]) -> (Self, ChildStderr) {
        let mut server = Self::start_on(serve(data_dir, upstream, settings), Stdio::piped());
        let log = server.child.stderr.take().unwrap();
        (server, log)
    }

    /// As `spawn`, with a disk of `size` under the data directory that only this process sees.
    #[allow(dead_code, reason = "the binary `it` fills disks, `load` does not")]
    pub(crate) fn spawn_on_small_disk(data_dir: &Path, size: &str, upstream: &str, log: Option<&Path>) -> Self {
        let log = log.map_or_else(Stdio::inherit, |log| std::fs::File::create(log).unwrap().into());
        Self::on_disk_of(data_dir, size, serve(data_dir, upstream, &[]), log)
    }

    /// The same with settings.
    #[allow(dead_code, reason = "the binary `it` sets some, `load` does not")]
    pub(crate) fn spawn_on_disk_of(data_dir: &Path, size: &str, upstream: &str, settings: &[(&str, &str)]) -> Self {
        Self::on_disk_of(data_dir, size, serve(data_dir, upstream, settings), Stdio::inherit())
    }

    fn on_disk_of(data_dir: &Path, size: &str, modelhub: Command, log: Stdio) -> Self {
        let mut command = Command::new("unshare");
        let script = "mount -t tmpfs -o size=$0 tmpfs \"$1\" && trap '' XFSZ && exec \"$2\" serve";
        command.args(["-Urm", "sh", "-c", script, size]).arg(data_dir).arg(modelhub.as_std().get_program());
        for (name, value) in modelhub.as_std().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        Self::start_on(command, log)
    }

    /// As `spawn`, with its log in a file.
    #[allow(dead_code, reason = "the binary `it` reads logs, `load` does not")]
    pub(crate) fn spawn_logging(data_dir: &Path, upstream: &str, settings: &[(&str, &str)], log: &Path) -> Self {
        Self::start_on(serve(data_dir, upstream, settings), std::fs::File::create(log).unwrap().into())
    }

    pub(crate) fn start(command: Command) -> Self {
        Self::start_on(command, Stdio::inherit())
    }

    fn start_on(mut command: Command, log: Stdio) -> Self {
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(log);
        let mut child = command.spawn().unwrap();
        let output = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, output }
    }

    /// Reads from standard output where the process listens; `None` if it ended before.
    pub(crate) async fn addresses(&mut self) -> Option<Addresses> {
        let (mut hub, mut admin) = (None, None);
        while let Some(line) =
            tokio::time::timeout(PATIENCE, self.output.next_line()).await.expect("the process starts").unwrap()
        {
            let url = |word: &str| {
                line.strip_prefix(word).and_then(|rest| rest.strip_prefix(" listening on ")).map(str::to_owned)
            };
            hub = hub.or_else(|| url("hub"));
            admin = admin.or_else(|| url("admin"));
            if let Some(endpoint) = line.trim().strip_prefix("export HF_ENDPOINT=") {
                let hub = hub.expect("the address stands before the hint");
                assert_eq!(endpoint, hub);
                return Some(Addresses { hub, admin: admin.unwrap() });
            }
        }
        None
    }

    /// As `addresses`, of a worker.
    #[allow(dead_code, reason = "the binary `it` has workers, `load` has none")]
    pub(crate) async fn worker_address(&mut self) -> Option<String> {
        let line = tokio::time::timeout(PATIENCE, self.output.next_line()).await.expect("the process starts").unwrap();
        line?.strip_prefix("worker listening on ").map(str::to_owned)
    }

    /// A path as the process sees it, which may have disks of its own.
    #[allow(dead_code, reason = "the binary `it` fills disks, `load` does not")]
    pub(crate) fn seen(&self, path: &Path) -> std::path::PathBuf {
        Path::new(&format!("/proc/{}/root", self.child.id().unwrap())).join(path.strip_prefix("/").unwrap())
    }

    /// Lets no file of this process grow beyond `most` bytes: what would, fails as a broken disk does. `None` ends that.
    #[allow(dead_code, reason = "the binary `it` breaks disks, `load` does not")]
    pub(crate) fn limit_files(&self, most: Option<u64>) {
        let limit = Rlimit { current: most, maximum: None };
        rustix::process::prlimit(Some(self.pid()), Resource::Fsize, limit).unwrap();
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id().expect("it runs")).unwrap()).unwrap()
    }

    /// SIGTERM.
    pub(crate) fn terminate(&self) {
        rustix::process::kill_process(self.pid(), Signal::TERM).unwrap();
    }

    /// SIGKILL, and waits until the process is gone.
    pub(crate) async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    pub(crate) async fn ended(mut self) -> ExitStatus {
        tokio::time::timeout(PATIENCE, self.child.wait()).await.expect("the process ends").unwrap()
    }

    /// The most memory that the process ever had resident, in bytes.
    #[allow(dead_code, reason = "the binary `load` measures, `it` does not")]
    pub(crate) fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// The memory that is the process's own now, without files that it has mapped, in bytes.
    #[allow(dead_code, reason = "the binary `load` measures, `it` does not")]
    pub(crate) fn anonymous_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("RssAnon:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// Files of the store without a name that the process holds, open or mapped: their space is not free.
    #[allow(dead_code, reason = "the binary `it` evicts, `load` does not")]
    pub(crate) fn deleted_and_held(&self, data_dir: &Path) -> Vec<String> {
        deleted_and_held(&format!("/proc/{}", self.child.id().unwrap()), data_dir)
    }

    #[allow(dead_code, reason = "the binary `load` measures, `it` does not")]
    pub(crate) fn open_files(&self) -> usize {
        std::fs::read_dir(format!("/proc/{}/fd", self.child.id().unwrap())).unwrap().count()
    }
}

/// Of the process at this path of /proc.
#[allow(dead_code, reason = "the binary `it` evicts, `load` does not")]
pub(crate) fn deleted_and_held(process: &str, data_dir: &Path) -> Vec<String> {
    let dir = data_dir.to_str().unwrap();
    let is_gone = |text: &str| text.contains(dir) && text.contains("/blobs/") && text.ends_with("(deleted)");
    let open = std::fs::read_dir(format!("{process}/fd")).unwrap().flatten();
    let open = open.filter_map(|entry| Some(std::fs::read_link(entry.path()).ok()?.display().to_string()));
    let maps = std::fs::read_to_string(format!("{process}/maps")).unwrap();
    open.chain(maps.lines().map(str::to_owned)).filter(|text| is_gone(text)).collect()
}
