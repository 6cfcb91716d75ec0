//! The commands that ask a running hub: the real program against a real server, with the mock Hub behind it.

mod doctor;
mod object;
mod storage;

use std::process::Stdio;

use mock_hf::{Content, MockHf, Options, Repo};
use serde_json::Value;
use tokio::io::AsyncWriteExt as _;

use crate::harness::process::{Addresses, Server, command};
use crate::harness::repos::{MIB, model, weights};
use crate::harness::{eventually, store};

const TOKEN: &str = "0123456789abcdef0123456789abcdef";

/// What a command said, and how it ended.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    #[track_caller]
    fn is(self, code: i32) -> Self {
        assert_eq!(self.code, code, "out: {}\nerr: {}", self.out, self.err);
        self
    }

    #[track_caller]
    fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("{error}: {}\n{}", self.out, self.err))
    }

    #[track_caller]
    fn says(self, text: &str) -> Self {
        assert!(self.out.contains(text) || self.err.contains(text), "no `{text}` in: {}\n{}", self.out, self.err);
        self
    }
}

async fn say(arguments: &[&str], settings: &[(&str, &str)], environment: &[(&str, &str)], input: &str) -> Said {
    let mut command = command(arguments, settings);
    for name in ["HF_ENDPOINT", "HF_HUB_OFFLINE", "HF_TOKEN"] {
        command.env_remove(name);
    }
    command.envs(environment.iter().copied());
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // A command that reads nothing may have ended already.
    let _ = stdin.write_all(input.as_bytes()).await;
    drop(stdin);
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output());
    let output = output.await.expect("the command ends").unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { code: output.status.code().unwrap(), out: text(output.stdout), err: text(output.stderr) }
}

/// A server in its own process.
struct Hub {
    dir: tempfile::TempDir,
    mock: MockHf,
    server: Server,
    at: Addresses,
}

impl Hub {
    async fn start(options: Options, settings: &[(&str, &str)]) -> Self {
        let (dir, mock) = (tempfile::tempdir().unwrap(), MockHf::start_with(options).await.unwrap());
        let mut server = Server::spawn(dir.path(), &mock.url(), settings);
        let at = server.addresses().await.unwrap();
        Self { dir, mock, server, at }
    }

    async fn with(repo: Repo) -> Self {
        let hub = Self::start(Options::default(), &[]).await;
        hub.mock.put(repo);
        hub
    }

    async fn run(&self, arguments: &[&str]) -> Said {
        say(arguments, &[("admin.url", &self.at.admin)], &[], "").await
    }

    async fn end(self) {
        self.server.terminate();
        assert_eq!(self.server.ended().await.code(), Some(0));
        store::check(self.dir.path());
    }
}

#[tokio::test]
async fn register_download_and_look_at_it() {
    let hub = Hub::with(model()).await;
    let registered = hub.run(&["register", "org/model", "--json"]).await.is(0).json();
    assert_eq!((&registered["repo_id"], &registered["status"]), (&"org/model".into(), &"synced".into()));
    // Empty files need no download.
    assert_eq!(registered["files_here"], "2");
    hub.run(&["register", "org/model"]).await.is(0).says("org/model");

    let job = hub.run(&["download", "org/model", "--include", "*.safetensors", "--json"]).await.is(0).json();
    assert_eq!((&job["kind"], &job["status"]), (&"download".into(), &"completed".into()));
    hub.run(&["download", "org/model", "config.json"]).await.is(0).says("download org/model");

    let models = hub.run(&["models", "--json"]).await.is(0).json();
    assert_eq!((models.as_array().unwrap().len(), &models[0]["download"]), (1, &"partial".into()));
    hub.run(&["models"]).await.is(0).says("org/model").says("partial");
    hub.run(&["model", "org/model"]).await.is(0).says("main").says("manual");

    let files = hub.run(&["files", "org/model", "--flat", "--json"]).await.is(0).json();
    let of = |path: &str| files.as_array().unwrap().iter().find(|file| file["file_path"] == path).unwrap().clone();
    assert_eq!(of("model.safetensors")["download_status"], "completed");
    assert_eq!(of("README.md")["download_status"], "pending");
    assert_eq!(of("päth/ünïcode 模型.txt")["download_status"], "pending");
    let found = hub.run(&["files", "org/model", "--search", "safetensors"]).await.is(0);
    assert!(
        found.out.contains("cached") && !found.out.contains("not cached") && !found.out.contains("README"),
        "{}",
        found.out
    );
    hub.run(&["files", "org/model", "sub"]).await.is(0).says("sub/deep/");
    hub.run(&["files", "org/model", "README.md", "--text"]).await.is(0).says("With a few words.");
    hub.run(&["facts", "org/model"]).await.is(0).says("llama").says("KV cache").says("memory");
    let adapter = r#"{"peft_type": "LORA", "base_model_name_or_path": "org/base", "r": 8}"#;
    hub.mock.put(Repo::model("org/lora").file("adapter_config.json", adapter).lfs("adapter_model.bin", "weights"));
    hub.run(&["register", "org/lora"]).await.is(0);
    for _ in 0..2 {
        hub.run(&["facts", "org/lora"]).await.is(0).says("LORA for org/base, rank 8").says("unknown");
    }
    hub.end().await;
}

#[tokio::test]
async fn a_plan_names_the_model_and_what_its_preset_leaves_out() {
    let repo = Repo::model("org/m-GGUF")
        .lfs("m-UD-IQ1_S.gguf", Content::random(1, 900))
        .lfs("m-Q4_K_M.gguf", Content::random(2, 2000))
        .lfs("m.mmproj-Q8_0.gguf", Content::random(3, 50))
        .lfs("imatrix_unsloth.gguf", Content::random(4, 60));
    let hub = Hub::with(repo).await;
    for _ in 0..2 {
        let smallest = hub.run(&["download", "org/m-GGUF", "--preset", "gguf", "--plan"]).await.is(0);
        let smallest = smallest.says("other quantisations").says("importance matrices");
        let (_, files) = smallest.out.split_once("LARGEST FILES").unwrap();
        let mut files: Vec<&str> = files.lines().skip(1).filter_map(|line| line.split_whitespace().next()).collect();
        files.sort_unstable();
        assert_eq!(files, ["m-UD-IQ1_S.gguf", "m.mmproj-Q8_0.gguf"]);
    }
    let named = hub.run(&["download", "org/m-GGUF", "--quant", "q4_k_m", "--yes"]).await.is(0);
    named.says("Left out: other quantisations, importance matrices");
    hub.run(&["download", "org/m-GGUF", "--quant", "Q5_K_M", "--plan"]).await.is(2).says("UD-IQ1_S, Q4_K_M");
}

#[tokio::test]
async fn download_registers_what_is_not_known_and_plans_first() {
    let hub = Hub::with(model()).await;
    let said = hub.run(&["download", "org/model", "--plan", "--json"]).await.is(0);
    assert!(!said.err.contains("Registered"), "{}", said.err);
    let plan = said.json();
    let looked_at = hub.run(&["lookup", "org/model", "--json"]).await.is(0).json();
    assert_eq!(looked_at["model_id"], "", "a plan registers nothing");
    assert_eq!((&plan["bytes_here"], &plan["fits"]), (&"0".into(), &true.into()));
    assert_eq!(hub.mock.stats().cdn_body_bytes, 0, "a plan fetches nothing");
    hub.run(&["download", "org/model", "--plan", "--exclude", "*.safetensors"]).await.is(0).says("to download");
    // An address stands for its repository and its file.
    hub.run(&["download", "huggingface.co/org/model", "README.md", "--yes"]).await.is(0).says("Registered org/model.");
    let again = hub.run(&["download", "hf.co/org/model", "README.md", "--yes"]).await.is(0);
    assert!(!again.err.contains("Registered"), "{}", again.err);
    let address = "https://huggingface.co/org/model/blob/main/config.json";
    let job = hub.run(&["download", address, "--yes", "--json"]).await.is(0).json();
    assert_eq!(job["payload"]["selection"]["paths"][0], "config.json");
    hub.mock.put(Repo::dataset("org/data").file("a.txt", "a"));
    hub.run(&["download", "datasets/org/data", "--revision", "main", "--plan"]).await.is(0).says("1 file");
    hub.run(&["download", "org/model", "--include", "*.nothing"]).await.is(2).says("no files match");
    hub.run(&["lookup", "org/model"]).await.is(0).says("registered");
    let detached = hub.run(&["download", "org/model", "--detach"]).await.is(0);
    assert!(detached.err.contains("modelhub jobs watch"), "{}", detached.err);
    eventually("all is here", || store::blobs(hub.dir.path()).len() > 10).await;
    hub.end().await;
}

#[tokio::test]
async fn jobs_are_listed_watched_paused_cancelled_and_run_again() {
    let options = Options { bytes_per_second_per_connection: Some(256 * 1024), ..Options::default() };
    let settings = [("flight.connections", "1"), ("flight.segment_size", "64KiB"), ("flight.verify_first", "64KiB")];
    let hub = Hub::start(options, &settings).await;
    hub.mock.put(Repo::model("org/big").lfs("big.bin", Content::random(1, 64 * MIB)));
    hub.run(&["register", "org/big"]).await.is(0);
    let job = hub.run(&["download", "org/big", "--detach", "--json"]).await.is(0).json();
    let id = job["id"].as_str().unwrap();

    hub.run(&["jobs", "pause", id]).await.is(0).says("pause");
    while !hub.run(&["jobs", "show", id]).await.is(0).says("org/big").out.contains("paused") {
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    }
    hub.run(&["jobs", "resume", id]).await.is(0);
    let watch = ["jobs", "watch", id];
    let watching = hub.run(&watch);
    let cancelling = async {
        while hub.run(&["jobs", "show", id, "--json"]).await.is(0).json()["status"] != "running" {}
        hub.run(&["jobs", "cancel", id, "--json"]).await.is(0).json()
    };
    let (watched, cancelled) = tokio::join!(watching, cancelling);
    watched.is(1).says("cancelled");
    assert_eq!(cancelled["id"], id);
    let list = hub.run(&["jobs", "list", "--status", "cancelled", "--json"]).await.is(0).json();
    assert_eq!((list.as_array().unwrap().len(), &list[0]["id"]), (1, &id.into()));
    hub.run(&["jobs"]).await.is(0).says("cancelled").says("sync");
    hub.run(&["jobs", "log", id]).await.is(0);
    hub.run(&["jobs", "resume", id]).await.is(2);
    hub.run(&["jobs", "retry", id]).await.is(0);
    hub.run(&["jobs", "cancel", id]).await.is(0);
    hub.run(&["jobs", "log", id, "--follow", "--json"]).await.is(0);
    hub.end().await;
}

#[tokio::test]
async fn a_log_that_is_followed_goes_on_when_the_server_is_back() {
    let options = Options { bytes_per_second_per_connection: Some(256 * 1024), ..Options::default() };
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let settings = [("flight.connections", "1"), ("admin.listen", port.as_str())];
    let mut hub = Hub::start(options, &settings).await;
    hub.mock.put(Repo::model("org/big").lfs("big.bin", Content::random(1, 64 * MIB)));
    let job = hub.run(&["download", "org/big", "--yes", "--detach", "--json"]).await.is(0).json();
    let id = job["id"].as_str().unwrap();
    let mut command = command(&["jobs", "log", id, "--follow", "--json"], &[("admin.url", &hub.at.admin)]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    use tokio::io::AsyncBufReadExt as _;
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let first = tokio::time::timeout(std::time::Duration::from_secs(30), lines.next_line()).await;
    first.expect("the log begins").unwrap().unwrap();

    hub.server.kill().await;
    hub.server = Server::spawn(hub.dir.path(), &hub.mock.url(), &settings);
    hub.at = hub.server.addresses().await.unwrap();
    hub.run(&["jobs", "cancel", id]).await.is(0);
    let output = tokio::time::timeout(std::time::Duration::from_secs(60), child.wait_with_output()).await;
    let output = output.expect("the log ends with its job").unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    hub.end().await;
}

#[tokio::test]
async fn ctrl_c_leaves_the_job_running_and_says_so() {
    let options = Options { bytes_per_second_per_connection: Some(256 * 1024), ..Options::default() };
    let hub = Hub::start(options, &[("flight.connections", "1")]).await;
    hub.mock.put(Repo::model("org/big").lfs("big.bin", Content::random(1, 64 * MIB)));
    let arguments = ["download", "org/big", "--yes"];
    let mut command = command(&arguments, &[("admin.url", &hub.at.admin)]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    eventually("bytes come", || hub.mock.stats().cdn_body_bytes > 64 * 1024).await;
    let pid = rustix::process::Pid::from_raw(i32::try_from(child.id().unwrap()).unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::INT).unwrap();
    let output = child.wait_with_output().await.unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(130), "{said}");
    assert!(said.contains("continues in the background") && said.contains("modelhub jobs cancel"), "{said}");
    let running = hub.run(&["jobs", "list", "--status", "running", "--json"]).await.is(0).json();
    assert_eq!(running.as_array().unwrap().len(), 1);
    hub.run(&["jobs", "cancel", running[0]["id"].as_str().unwrap()]).await.is(0);
    hub.end().await;
}

#[tokio::test]
async fn exit_codes_say_what_went_wrong() {
    let hub = Hub::with(model()).await;
    hub.run(&["model", "org/nothing"]).await.is(3).says("register it first");
    hub.run(&["register", "../etc"]).await.is(2).says("expected org/name");
    hub.run(&["register", "https://github.com/org/model"])
        .await
        .is(2)
        .says("github.com is neither upstream nor this hub");
    hub.run(&["models", "--order", "colour"]).await.is(2).says("order");
    hub.run(&["jobs", "show", "x"]).await.is(2).says("UUID");
    hub.run(&["scan", ""]).await.is(2).says("a value is required for '[PATH]'");
    hub.run(&["model", ""]).await.is(2).says("a value is required for '<MODEL>'");
    hub.run(&["download", "org/model", "--limit-rate", "fast"]).await.is(2).says("8MiB");
    hub.run(&["evict", "--free", "0"]).await.is(2);
    hub.run(&["evict"]).await.is(2);
    hub.run(&["register", "org/absent"]).await.is(1).says("the sync failed");
    hub.run(&["forget", "org/absent", "--yes"]).await.is(0);
    // What upstream does not have leaves nothing here.
    for more in [&[][..], &["--plan"]] {
        hub.run(&[&["download", "org/absent"], more].concat()).await.is(3);
    }
    assert_eq!(hub.run(&["models", "--json"]).await.is(0).json(), serde_json::json!([]));
    hub.run(&["models", "--url", "hub"]).await.is(2).says("http://127.0.0.1:8485");
    // The other listener is no admin API.
    hub.run(&["models", "--url", &hub.at.hub]).await.is(4).says("not a modelhub admin API");
    hub.end().await;
    let nobody = [("admin.url", "http://127.0.0.1:9")];
    say(&["models"], &nobody, &[], "").await.is(4).says("is the hub running?").says("modelhub serve");
}

#[tokio::test]
async fn tokens_are_found_and_refusals_explained() {
    let hub = Hub::start(Options::default(), &[("admin.token", TOKEN)]).await;
    let url = ("admin.url", hub.at.admin.as_str());
    say(&["models"], &[url], &[], "").await.is(5).says("MODELHUB_ADMIN_TOKEN");
    say(&["models", "--token", "wrong"], &[url], &[], "").await.is(5).says("The token is wrong");
    say(&["models"], &[url, ("admin.token", TOKEN)], &[], "").await.is(0);
    let file = hub.dir.path().join("token.txt");
    std::io::Write::write_all(&mut std::fs::File::create(&file).unwrap(), format!("{TOKEN}\n").as_bytes()).unwrap();
    say(&["models"], &[url, ("admin.token_file", file.to_str().unwrap())], &[], "").await.is(0);
    // The address of the configuration is the hub's own listener.
    let listen = hub.at.admin.strip_prefix("http://").unwrap();
    say(&["overview"], &[("admin.listen", listen), ("admin.token", TOKEN)], &[], "").await.is(0).says("uptime");
    hub.end().await;
}

#[tokio::test]
async fn settings_change_and_a_token_comes_from_standard_input_only() {
    let hub = Hub::with(model()).await;
    let set = ["settings", "set", "download_bytes_per_second=10MiB", "max_downloads=4", "--json"];
    let settings = hub.run(&set).await.is(0).json();
    assert_eq!((&settings["download_bytes_per_second"], &settings["max_downloads"]), (&"10485760".into(), &4.into()));
    hub.run(&["settings"]).await.is(0).says("10 MiB");
    hub.run(&["settings", "set", "hf_token=x"]).await.is(2).says("settings token");
    hub.run(&["settings", "set", "max_downloads=0"]).await.is(2);
    hub.run(&["settings", "token"]).await.is(2).says("no token given");
    let url = [("admin.url", hub.at.admin.as_str())];
    let alice = format!("{}\n", mock_hf::TOKEN_ALICE);
    let said = say(&["settings", "token"], &url, &[], &alice).await.is(0).says("set at run time");
    assert!(!said.out.contains(mock_hf::TOKEN_ALICE));
    hub.run(&["settings", "test-token"]).await.is(0).says("alice");
    say(&["settings", "test-token", "--stdin"], &url, &[], "hf_unknown\n").await.is(5);
    hub.run(&["settings", "token", "--remove"]).await.is(0).says("none");
    hub.end().await;
}

#[tokio::test]
async fn events_come_as_they_happen_and_completions_are_scripts() {
    let hub = Hub::with(model()).await;
    let mut command = command(&["events", "--json", "--kinds", "job"], &[("admin.url", &hub.at.admin)]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    use tokio::io::AsyncBufReadExt as _;
    let mut lines = tokio::io::BufReader::new(child.stdout.take().unwrap()).lines();
    let first = async {
        // The stream may open after the first of these.
        loop {
            hub.run(&["sync", "org/model"]).await;
            hub.run(&["register", "org/model"]).await.is(0);
            if let Ok(line) = tokio::time::timeout(std::time::Duration::from_millis(200), lines.next_line()).await {
                return line.unwrap().unwrap();
            }
        }
    };
    let first = tokio::time::timeout(std::time::Duration::from_secs(30), first).await.expect("an event comes");
    let event: Value = serde_json::from_str(&first).unwrap();
    assert_eq!((&event["kind"], &event["job"]["repo_id"]), (&"job".into(), &"org/model".into()));
    child.kill().await.unwrap();
    for shell in ["bash", "zsh", "fish"] {
        let script = say(&["completions", shell], &[], &[], "").await.is(0).says("download");
        script.says("registered").says("-created").says("cancelled").says("tokenizer");
    }
    say(&["download", "--help"], &[], &[], "").await.is(0).says("--quantisation Q4_K_M");
    hub.end().await;
}
