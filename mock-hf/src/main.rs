//! The mock Hub as a program: for demos, benchmarks, and tests in other languages.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::{Context, bail};
use clap::Parser;
use mock_hf::{Content, MockHf, Options, Repo, TOKEN_ALICE, TOKEN_BOB, TOKEN_REVOKED, demo, folder};
use tokio::signal::unix::{SignalKind, signal};

/// A mock of the Hugging Face Hub and its CDN, with faults on demand.
///
/// Point any client at it with HF_ENDPOINT, or a caching proxy as its upstream.
#[derive(Debug, Parser)]
#[command(version, after_long_help = EXAMPLES)]
struct Arguments {
    /// Where the hub listens; port 0 picks a free one.
    #[arg(long, default_value = "127.0.0.1:8490")]
    listen: SocketAddr,
    /// Where the CDN listens; LFS files are redirected to it.
    #[arg(long, default_value = "127.0.0.1:0")]
    cdn_listen: SocketAddr,
    /// What the hub calls itself in Link headers, if not http://LISTEN.
    #[arg(long, value_name = "URL")]
    public_base: Option<String>,
    /// What the hub calls the CDN in redirects, if not http://CDN_LISTEN.
    #[arg(long, value_name = "URL")]
    cdn_base: Option<String>,
    /// Serves the folders DIR/{models,datasets,spaces,kernels}/{namespace}/{name}; DIR/{namespace}/{name} are models.
    #[arg(long, value_name = "DIR")]
    repos: Vec<PathBuf>,
    /// Serves the built-in repositories, among them a gated and a private one.
    #[arg(long)]
    demo: bool,
    /// Speed of each CDN connection per second: 50MB, 2MiB, 300k. Unlimited when absent.
    #[arg(long, value_parser = parse_size, value_name = "SIZE")]
    rate: Option<u64>,
    /// Adds a model file of reproducible noise; may be repeated, also for one model.
    #[arg(long, value_name = "ORG/NAME:FILE:SIZE")]
    add_random: Vec<String>,
    /// How long signed CDN URLs live, in seconds.
    #[arg(long, default_value_t = 3600, value_name = "SECONDS")]
    url_lifetime: u64,
    /// Serves small files at once instead of by a redirect to /api/resolve-cache.
    #[arg(long)]
    no_small_redirect: bool,
    /// Leaves out everything about Xet.
    #[arg(long)]
    no_xet: bool,
}

const EXAMPLES: &str = r#"Examples:
  mock-hf --demo
  HF_ENDPOINT=http://127.0.0.1:8490 HF_HUB_DISABLE_XET=1 hf download demo/tiny-llama

  mock-hf --add-random bench/big:model.safetensors:4GiB --rate 50MB

Faults, while it runs:
  curl -X POST http://127.0.0.1:8490/_mock/faults -d '{"origin":"cdn","path_contains":"model","times":1,"fault":{"cut_after":1000000}}'
  curl http://127.0.0.1:8490/_mock/faults          what is set, and how often it struck
  curl -X DELETE http://127.0.0.1:8490/_mock/faults

  More faults: {"reset_after":n} {"stall_after":n} {"flip_byte":n} {"short_length":n} {"long_body":n}
  {"close_delimited":n} "chunked" "empty200" "html200" "json200" "ignore_range" "wrong_content_range"
  {"status":{"code":503,"retry_after":"5"}} {"slow":{"bytes_per_second":20000}} {"delay":2000} "expire_url"
  "move_ref_on_head" "gzip_encoded" {"redirect_to":"/x"} "wrong_etag" "no_answer"

Also: GET /_mock/log, DELETE /_mock/log, GET /_mock/stats, POST /_mock/visibility, /_mock/commit, /_mock/rename,
/_mock/expire-urls (JSON bodies; a wrong one is answered with what is missing)."#;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).init();
    let arguments = Arguments::parse();
    let options = Options {
        hub_addr: arguments.listen,
        cdn_addr: arguments.cdn_listen,
        public_base: arguments.public_base.clone(),
        cdn_base: arguments.cdn_base.clone(),
        bytes_per_second_per_connection: arguments.rate,
        redirect_small: !arguments.no_small_redirect,
        url_lifetime: std::time::Duration::from_secs(arguments.url_lifetime),
        xet: !arguments.no_xet,
        ..Options::default()
    };
    let repos = repos(&arguments)?;
    let mock = MockHf::start_with(options).await?;
    let names: Vec<String> = repos.iter().map(|repo| format!("  {:8} {}", repo.kind(), repo.id())).collect();
    for repo in repos {
        // Hashing large files takes a while; the listener is up, so it must not block the runtime.
        let mock = mock.clone();
        tokio::task::spawn_blocking(move || mock.put(repo)).await?;
    }
    announce(&mock, &names, arguments.demo);
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = tokio::signal::ctrl_c() => result?,
        _ = terminate.recv() => {}
    }
    mock.stop().await;
    Ok(())
}

#[expect(clippy::print_stdout, reason = "this is what the program has to say to its user")]
fn announce(mock: &MockHf, names: &[String], demo: bool) {
    println!("hub  {}", mock.url());
    println!("cdn  {}", mock.cdn_url());
    println!("repositories:\n{}", names.join("\n"));
    if demo {
        println!("tokens:");
        println!("  {TOKEN_ALICE}  alice, may read demo/gated and demo/private");
        println!("  {TOKEN_BOB}  bob, valid, may not");
        println!("  {TOKEN_REVOKED}  refused");
    }
    println!("ready: HF_ENDPOINT={} HF_HUB_DISABLE_XET=1", mock.url());
}

fn repos(arguments: &Arguments) -> anyhow::Result<Vec<Repo>> {
    let mut repos = if arguments.demo { demo::repos() } else { Vec::new() };
    for root in &arguments.repos {
        repos.extend(folder::read(root)?);
    }
    for (seed, wish) in arguments.add_random.iter().enumerate() {
        let parts: Vec<&str> = wish.split(':').collect();
        let [id, file, size] = parts[..] else { bail!("`{wish}` is not ORG/NAME:FILE:SIZE") };
        let size = parse_size(size).with_context(|| format!("could not read `{wish}`"))?;
        let content = Content::random(seed as u64 + 1, size);
        match repos.iter().position(|repo| repo.id() == id) {
            Some(at) => {
                let repo = repos.remove(at).lfs(file, content);
                repos.insert(at, repo);
            }
            None => repos.push(Repo::model(id).file("README.md", format!("# {id}\n")).lfs(file, content)),
        }
    }
    if repos.is_empty() {
        bail!("nothing to serve: use --demo, --repos DIR or --add-random ORG/NAME:FILE:SIZE");
    }
    Ok(repos)
}

/// `1GiB`, `50MB`, `300k`, `17`: binary with an `i`, decimal without.
fn parse_size(text: &str) -> anyhow::Result<u64> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().with_context(|| format!("`{text}` does not begin with a number"))?;
    let factor = match unit.trim().to_ascii_lowercase().trim_end_matches('b') {
        "" => 1,
        "k" => 1_000,
        "m" => 1_000_000,
        "g" => 1_000_000_000,
        "ki" => 1 << 10,
        "mi" => 1 << 20,
        "gi" => 1 << 30,
        _ => bail!("`{text}`: use B, kB, MB, GB, KiB, MiB or GiB"),
    };
    Ok(number * factor)
}
