//! A hub that lives behind a company's proxy: all that leaves goes through it, and what is wrong with it is said.
//!
//! Upstream is `https://hub.test`, a name that nobody but the proxy knows: what arrives there went through it.

mod server;
mod tls;

use mock_hf::{Fault, MockHf, Origin, Repo, Rule, TOKEN_ALICE};
use tempfile::TempDir;

use self::server::{Conduct, PASSWORD, Proxy, USER};
use self::tls::Far;
use crate::harness::process::{Addresses, Server, run};
use crate::harness::repos::weights;
use crate::harness::{Client, Reply, store};

const FILE: &str = "/org/model/resolve/main/model.safetensors";

fn model() -> Repo {
    Repo::model("org/model").file("config.json", "{}").lfs("model.safetensors", weights())
}

/// A hub in a process of its own, with its log in a file.
struct Hub {
    dir: TempDir,
    server: Server,
    at: Addresses,
    client: Client,
}

impl Hub {
    async fn start(upstream: &str, settings: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut all = vec![("upstream.connect_timeout", "1s"), ("cache.ref_ttl", "1ms"), ("cache.listing_ttl", "1ms")];
        all.extend(settings);
        let mut server = Server::spawn_logging(dir.path(), upstream, &all, &dir.path().join("log"));
        let at = server.addresses().await.expect("the hub starts");
        Self { dir, server, at, client: Client::new() }
    }

    async fn get(&self, path: &str) -> Reply {
        self.get_with(path, &[]).await
    }

    async fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.client.call("GET", &format!("{}{path}", self.at.hub), headers, "").await
    }

    fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    async fn end(self) -> String {
        self.server.terminate();
        assert_eq!(self.server.ended().await.code(), Some(0));
        store::check(self.dir.path());
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

fn with_credentials(address: &str) -> String {
    let mut url = url::Url::parse(&format!("http://{address}")).unwrap();
    url.set_username(USER).unwrap();
    url.set_password(Some(PASSWORD)).unwrap();
    url.into()
}

/// All that would give the credentials away.
fn canaries() -> Vec<String> {
    use base64::Engine as _;
    let basic = base64::engine::general_purpose::STANDARD.encode(format!("{USER}:{PASSWORD}"));
    let url = with_credentials("x");
    let escaped = url.split_once(&format!("{USER}:")).unwrap().1.split_once('@').unwrap().0.to_owned();
    vec![PASSWORD.to_owned(), basic, escaped, TOKEN_ALICE.to_owned()]
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    for canary in canaries() {
        assert!(!text.contains(&canary), "{what} has `{canary}`");
    }
}

/// What is not here is refused, with the reason.
#[track_caller]
fn assert_refused(reply: &Reply, conduct: Conduct, why: &str) {
    let text = reply.text();
    assert!(reply.status == 504 && text.contains(why), "{conduct:?}: {} {text}", reply.status);
}

fn all_of(output: std::process::Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

#[tokio::test]
async fn a_hub_lives_behind_a_proxy_that_goes_and_comes_back() {
    let (far, proxy) = (Far::start().await, Proxy::start().await);
    far.mock.put(model());
    proxy.set(Conduct::WantsCredentials);
    let (address, ca) = (proxy.address.clone(), tls::text("ca.pem"));
    let settings = [
        ("HTTPS_PROXY", with_credentials(&address)),
        ("upstream.ca_file", ca),
        ("upstream.cdn_hosts", far.cdn.clone()),
        ("log.level", "trace".to_owned()),
    ];
    let settings: Vec<_> = settings.iter().map(|(key, value)| (*key, value.as_str())).collect();
    let hub = Hub::start(&far.url, &settings).await;
    let alice = [("authorization", format!("Bearer {TOKEN_ALICE}"))];
    let alice: Vec<_> = alice.iter().map(|(name, value)| (*name, value.as_str())).collect();

    // Cold and hot.
    hub.get_with(FILE, &alice).await.assert_is(200, &weights().read_all());
    let listing = hub.get("/api/models/org/model").await;
    assert_eq!(listing.status, 200, "{}", listing.text());
    let hot = hub.get(FILE).await;
    hot.assert_is(200, &weights().read_all());
    assert_eq!(hot.served(), "hit");
    // The proxy saw names and nothing of what was said; upstream saw the token, and nothing of the proxy's.
    let seen = proxy.seen();
    let hub_place = far.url.strip_prefix("https://").unwrap();
    for place in [hub_place, &far.cdn] {
        assert!(seen.iter().any(|head| head.starts_with(&format!("CONNECT {place} "))), "{place}: {seen:?}");
    }
    assert!(seen.iter().all(|head| head.starts_with("CONNECT ") && !head.contains(TOKEN_ALICE)), "{seen:?}");
    let requests = far.mock.requests();
    assert!(requests.iter().any(|request| request.origin == Origin::Cdn));
    assert_eq!(far.mock.stats().cdn_calls_with_authorization, 0);

    // What people see of it.
    let admin = [("admin.url", hub.at.admin.as_str())];
    let overview = all_of(run(&["overview"], &admin).await);
    assert!(overview.contains(&format!("http://{address} (HTTPS_PROXY)")), "{overview}");
    // The commands ask the hub itself, whatever proxy their shell has.
    let shell: Vec<_> = admin.iter().copied().chain(settings.iter().copied()).collect();
    let doctor = all_of(run(&["doctor"], &shell).await);
    assert!(doctor.contains(&format!("http://{address} (HTTPS_PROXY)")), "{doctor}");
    assert!(doctor.contains(&format!("{} is reachable", far.url)), "{doctor}");
    assert_clean("doctor", &doctor);
    assert!(proxy.seen().iter().all(|head| head.starts_with("CONNECT ")));

    // Without the proxy the older answers stand in, and whoever needs a new one learns why.
    proxy.stop().await;
    let stale = hub.get("/api/models/org/model").await;
    assert_eq!((stale.status, stale.served(), &stale.body), (200, "stale", &listing.body), "{:?}", stale.headers);
    hub.get(FILE).await.assert_is(200, &weights().read_all());
    let why = hub.get("/api/models/org/other").await;
    let expected = format!("cannot connect to the proxy http://{address} (Connection refused");
    assert!(why.status == 504 && why.text().contains(&expected), "{}", why.text());
    for number in 0..20 {
        hub.get(&format!("/api/models/org/other-{number}")).await;
    }
    let doctor = all_of(run(&["doctor"], &admin).await);
    assert!(doctor.contains("fail  upstream") && doctor.contains(&expected), "{doctor}");
    let lines =
        |text: &str| hub.log().lines().filter(|line| line.contains(text)).map(str::to_owned).collect::<Vec<_>>();
    let begins = lines("upstream failed repeatedly");
    assert!(begins.len() == 1 && begins[0].contains(&expected), "{begins:#?}");

    // It is back.
    let proxy = Proxy::start_at(&address).await;
    proxy.set(Conduct::WantsCredentials);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    while hub.get("/api/models/org/other").await.status == 504 {
        assert!(tokio::time::Instant::now() < deadline, "it never comes back");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    far.mock.put(Repo::model("org/new").lfs("model.safetensors", weights()));
    hub.get("/org/new/resolve/main/model.safetensors").await.assert_is(200, &weights().read_all());
    assert_eq!(lines("upstream responds again").len(), 1);

    assert_clean("/metrics", &hub.client.call("GET", &format!("{}/metrics", hub.at.admin), &[], "").await.text());
    assert_clean("an error", &why.everything());
    let log = hub.end().await;
    assert!(
        log.contains(&format!("proxy=http://{address}")) || log.contains(&format!("\"http://{address}\"")),
        "{log}"
    );
    assert_clean("the log", &log);
}

#[tokio::test]
async fn what_is_wrong_with_the_way_is_said() {
    let (far, proxy) = (Far::start().await, Proxy::start().await);
    far.mock.put(model());
    let (url, ca) = (format!("http://{}", proxy.address), tls::text("ca.pem"));
    let place = far.url.strip_prefix("https://").unwrap();
    for (conduct, expected) in [
        (Conduct::WantsCredentials, format!("the proxy {url} wants credentials: set upstream.proxy_user")),
        (Conduct::Refuses, format!("the proxy {url} did not connect to {place}")),
        (Conduct::FindsNothing, format!("the proxy {url} did not connect to {place}")),
        (Conduct::Portal, place.to_owned()),
        (Conduct::HangsUp, format!("the proxy {url} did not connect to {place}")),
        (Conduct::IsSilent, format!("the proxy {url} did not answer in time")),
    ] {
        // A connection that is open already would do without the proxy.
        let hub = Hub::start(&far.url, &[("upstream.proxy", &url), ("upstream.ca_file", &ca)]).await;
        proxy.set(conduct);
        let reply = hub.get("/api/models/org/model").await;
        assert_refused(&reply, conduct, &expected);
        proxy.set(Conduct::Works);
        let reply = hub.get("/api/models/org/model").await;
        assert_eq!(reply.status, 200, "{conduct:?}: {}", reply.text());
        hub.end().await;
    }
    // Credentials that are wrong are another matter than none.
    proxy.set(Conduct::WantsCredentials);
    let settings = [("upstream.proxy", url.as_str()), ("upstream.ca_file", &ca)];
    let wrong = [settings[0], settings[1], ("upstream.proxy_user", USER), ("upstream.proxy_password", "wrong")];
    let hub = Hub::start(&far.url, &wrong).await;
    let reply = hub.get("/api/models/org/model").await;
    assert!(
        reply.text().contains("refuses the credentials that it is given (MODELHUB_UPSTREAM_PROXY)"),
        "{}",
        reply.text()
    );
    hub.end().await;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("password");
    std::fs::write(&file, format!("{PASSWORD}\n")).unwrap();
    let right = [
        settings[0],
        settings[1],
        ("upstream.proxy_user", USER),
        ("upstream.proxy_password_file", file.to_str().unwrap()),
    ];
    let hub = Hub::start(&far.url, &right).await;
    assert_eq!(hub.get("/api/models/org/model").await.status, 200);
    hub.end().await;
}

#[tokio::test]
async fn certificates_that_are_not_trusted_are_named_with_what_to_set() {
    let (far, proxy) = (Far::start_with(true).await, Proxy::start().await);
    far.mock.put(model());
    let url = format!("http://{}", proxy.address);
    let (ca, certificate, key) = (tls::text("ca.pem"), tls::text("client.pem"), tls::text("client.key"));
    let all = [
        ("upstream.proxy", url.as_str()),
        ("upstream.cdn_hosts", &far.cdn),
        ("upstream.ca_file", &ca),
        ("upstream.client_cert_file", &certificate),
        ("upstream.client_key_file", &key),
    ];
    let place = far.url.strip_prefix("https://").unwrap();
    for (settings, expected) in [
        (&all[..2], format!("the certificate of {place} is from an authority that is not trusted here")),
        (&all[..3], format!("{place} wants a client certificate that it trusts: set upstream.client_cert_file")),
    ] {
        let hub = Hub::start(&far.url, settings).await;
        for _ in 0..2 {
            let reply = hub.get("/api/models/org/model").await;
            assert!(reply.status == 504 && reply.text().contains(&expected), "{} {}", reply.status, reply.text());
        }
        hub.end().await;
    }
    let hub = Hub::start(&far.url, &all).await;
    hub.get(FILE).await.assert_is(200, &weights().read_all());
    hub.end().await;
}

#[tokio::test]
async fn a_proxy_that_reads_requests_is_told_from_upstream() {
    let (mock, proxy) = (MockHf::start().await, Proxy::start().await);
    mock.put(model());
    let url = format!("http://{}", proxy.address);
    let upstream = format!("http://hub.test:{}", mock.hub_addr().unwrap().port());
    let place = upstream.strip_prefix("http://").unwrap();
    let hub = Hub::start(&upstream, &[("upstream.proxy", &url)]).await;
    hub.get(FILE).await.assert_is(200, &weights().read_all());
    let seen = proxy.seen();
    let cdn = mock.cdn_url();
    for origin in [&upstream, &cdn] {
        assert!(seen.iter().any(|head| head.starts_with(&format!("GET {origin}/"))), "{origin}: {seen:?}");
    }
    assert!(hub.log().contains("can read the tokens"), "{}", hub.log());
    let listing = hub.get("/api/models/org/model").await;
    for (conduct, expected) in [
        (Conduct::WantsCredentials, format!("the proxy {url} wants credentials")),
        (Conduct::Refuses, format!("the proxy {url} refuses requests to {place}")),
        (Conduct::FindsNothing, format!("the proxy {url} cannot reach {place}")),
        (Conduct::HangsUp, format!("the proxy {url} cut the connection to {place}")),
    ] {
        proxy.set(conduct);
        let stale = hub.get("/api/models/org/model").await;
        assert_eq!((stale.status, stale.served(), &stale.body), (200, "stale", &listing.body), "{conduct:?}");
        let reply = hub.get("/api/models/org/other").await;
        assert_refused(&reply, conduct, &expected);
        proxy.set(Conduct::Works);
        assert_ne!(hub.get("/api/models/org/other").await.status, 504, "{conduct:?}");
    }
    hub.end().await;
}

#[tokio::test]
async fn behind_a_proxy_the_egress_holds_as_ever() {
    let (far, proxy) = (Far::start().await, Proxy::start().await);
    far.mock.put(model());
    let (url, ca) = (format!("socks5h://{}", proxy.address), tls::text("ca.pem"));
    let with_user = url.replace("://", "://user:secret@");
    let settings = [("ALL_PROXY", with_user.as_str()), ("upstream.ca_file", &ca), ("upstream.cdn_hosts", &far.cdn)];
    let hub = Hub::start(&far.url, &settings).await;
    let place = far.url.strip_prefix("https://").unwrap();
    for (to, expected) in [
        ("https://169.254.169.254/latest/meta-data", "169.254.169.254 is not in upstream.cdn_hosts"),
        ("https://other.test/x", "other.test is not in upstream.cdn_hosts"),
        ("https://hub.test:22/x", "port 22 of hub.test is not allowed"),
        ("http://hub.test/x", "from https to http"),
    ] {
        let rule = Rule::on_hub("model.safetensors").method("GET").fault(Fault::RedirectTo(to.into()));
        let fault = far.mock.fault(rule);
        let reply = hub.get(FILE).await;
        assert!(reply.status == 502 && reply.text().contains(expected), "{to}: {} {}", reply.status, reply.text());
        far.mock.remove_fault(fault);
    }
    let seen = proxy.seen();
    assert!(!seen.is_empty() && seen.iter().all(|line| *line == format!("SOCKS {place} user:secret")), "{seen:?}");
    hub.get(FILE).await.assert_is(200, &weights().read_all());
    assert!(proxy.seen().contains(&format!("SOCKS {} user:secret", far.cdn)));
    assert!(!hub.end().await.contains("user:secret"));
    // Its rules say no.
    proxy.set(Conduct::Refuses);
    let hub = Hub::start(&far.url, &settings).await;
    let reply = hub.get("/api/models/org/model").await;
    assert!(reply.text().contains(&format!("the proxy {url} did not connect to {place}")), "{}", reply.text());
    hub.end().await;
}

#[tokio::test]
async fn the_settings_decide_what_goes_through_a_proxy() {
    let (mock, proxy) = (MockHf::start().await, Proxy::start().await);
    mock.put(model());
    let url = format!("http://{}", proxy.address);
    let (own, named) = (mock.url(), format!("http://localhost:{}", mock.hub_addr().unwrap().port()));
    type Settings<'a> = &'a [(&'a str, &'a str)];
    let cases: [(&str, Settings<'_>, bool); 6] = [
        // A proxy of the environment is for the outside.
        (&own, &[("HTTP_PROXY", url.as_str())], false),
        (&named, &[("http_proxy", &url)], false),
        // One that is set is meant.
        (&own, &[("upstream.proxy", &url)], true),
        (&own, &[("upstream.proxy", &url), ("upstream.no_proxy", "10.0.0.0/8,127.0.0.0/8")], false),
        (&own, &[("upstream.proxy", &url), ("NO_PROXY", "127.0.0.1")], true),
        (&own, &[("upstream.proxy", "none"), ("HTTP_PROXY", "http://127.0.0.1:9")], false),
    ];
    for (upstream, settings, is_used) in cases {
        let hub = Hub::start(upstream, settings).await;
        hub.get("/org/model/resolve/main/config.json").await.assert_is(200, b"{}");
        assert_eq!(!proxy.seen().is_empty(), is_used, "{upstream} {settings:?}");
        hub.end().await;
    }
}

#[tokio::test]
async fn a_way_that_cannot_be_used_is_refused_and_never_shown() {
    let check = async |settings: &[(&str, &str)]| all_of(run(&["config", "check"], settings).await);
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str, text: &str| {
        let path = dir.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let (empty, certificate, key) = (path("empty.pem", "nothing"), tls::text("client.pem"), tls::text("client.key"));
    let other = tls::text("server.key");
    let cases: [(&[(&str, &str)], &str); 12] = [
        (&[("upstream.proxy", "ftp://user:geheim@x")], "MODELHUB_UPSTREAM_PROXY: upstream.proxy is not the address"),
        (&[("upstream.proxy", "http://user:geheim@x/path")], "upstream.proxy is not the address"),
        (&[("HTTPS_PROXY", "http://user:geheim@:3128")], "HTTPS_PROXY is not the address of a proxy"),
        (&[("upstream.no_proxy", "http://x")], "MODELHUB_UPSTREAM_NO_PROXY: upstream.no_proxy contains `http://x`"),
        (&[("upstream.proxy_user", "u")], "upstream.proxy_user is set, and upstream.proxy is not"),
        (&[("upstream.proxy", "http://u:geheim@x"), ("upstream.proxy_user", "u")], "keep only one"),
        (&[("upstream.proxy", "http://x"), ("upstream.proxy_password", "geheim")], "upstream.proxy_user is not"),
        (&[("upstream.ca_file", "/nowhere")], "MODELHUB_UPSTREAM_CA_FILE: upstream.ca_file: cannot read /nowhere"),
        (&[("upstream.ca_file", &empty)], "holds no certificate"),
        (&[("upstream.client_cert_file", &certificate)], "upstream.client_key_file is not"),
        (&[("upstream.client_cert_file", &certificate), ("upstream.client_key_file", &empty)], "holds no private key"),
        (&[("upstream.client_cert_file", &certificate), ("upstream.client_key_file", &other)], "is not the key of"),
    ];
    for (settings, expected) in cases {
        let said = check(settings).await;
        assert!(said.contains(expected), "{settings:?}: {said}");
        assert!(!said.contains("geheim"), "{said}");
    }
    let fine = [("upstream.client_cert_file", certificate.as_str()), ("upstream.client_key_file", &key)];
    assert!(check(&fine).await.contains("the settings are valid"));
    let file = path(
        "modelhub.toml",
        "[upstream]\nurl = \"http://hub.test\"\n\nproxy = \"http://user:geheim@proxy.test:3128\"\n",
    );
    let with_file = async |command: &str| all_of(run(&["config", command, "--config", &file], &[]).await);
    let said = with_file("check").await;
    assert!(said.contains(&format!("the proxy http://proxy.test:3128 ({file}, line 4) can read the tokens")), "{said}");
    let printed = with_file("print").await;
    assert!(printed.contains("proxy = \"http://***@proxy.test:3128\"") && !printed.contains("geheim"), "{printed}");
    let doctor = all_of(run(&["doctor", "--config", &file], &[("admin.url", "http://127.0.0.1:9")]).await);
    assert!(
        doctor.contains(&format!("http://proxy.test:3128 ({file}, line 4)")) && !doctor.contains("geheim"),
        "{doctor}"
    );
}
