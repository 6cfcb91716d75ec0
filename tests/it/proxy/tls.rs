//! The mock behind TLS, under names that only the proxy knows: `https://hub.test` and `https://cdn.test`.

use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock};

use mock_hf::{MockHf, Options};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

static FILES: LazyLock<tempfile::TempDir> = LazyLock::new(|| {
    let dir = tempfile::tempdir().unwrap();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/test-certificates");
    let made = std::process::Command::new(script).arg(dir.path()).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    dir
});

/// A file that `scripts/test-certificates` makes.
pub(super) fn file(name: &str) -> PathBuf {
    FILES.path().join(name)
}

pub(super) fn text(name: &str) -> String {
    file(name).to_str().unwrap().to_owned()
}

fn config(asks_for_certificates: bool) -> Arc<ServerConfig> {
    let certificates = |path: &Path| CertificateDer::pem_file_iter(path).unwrap().map(Result::unwrap);
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder =
        ServerConfig::builder_with_provider(Arc::clone(&provider)).with_safe_default_protocol_versions().unwrap();
    let mut authorities = RootCertStore::empty();
    authorities.add_parsable_certificates(certificates(&file("ca.pem")));
    let builder = match asks_for_certificates {
        true => builder.with_client_cert_verifier(
            WebPkiClientVerifier::builder_with_provider(authorities.into(), provider).build().unwrap(),
        ),
        false => builder.with_no_client_auth(),
    };
    let key = PrivateKeyDer::from_pem_file(file("server.key")).unwrap();
    Arc::new(builder.with_single_cert(certificates(&file("server.pem")).collect(), key).unwrap())
}

async fn front(listener: TcpListener, behind: std::net::SocketAddr, config: Arc<ServerConfig>) {
    let acceptor = TlsAcceptor::from(config);
    while let Ok((socket, _)) = listener.accept().await {
        let acceptor = acceptor.clone();
        tokio::spawn(async move {
            let Ok(mut socket) = acceptor.accept(socket).await else { return };
            let Ok(mut behind) = TcpStream::connect(behind).await else { return };
            let _ = tokio::io::copy_bidirectional(&mut socket, &mut behind).await;
        });
    }
}

/// A mock that is known by names of the proxy's.
pub(super) struct Far {
    pub(super) mock: MockHf,
    /// `https://hub.test:port`.
    pub(super) url: String,
    /// `cdn.test:port`.
    pub(super) cdn: String,
}

impl Far {
    pub(super) async fn start() -> Self {
        Self::start_with(false).await
    }

    pub(super) async fn start_with(asks_for_certificates: bool) -> Self {
        let (hub, cdn) =
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), TcpListener::bind("127.0.0.1:0").await.unwrap());
        let port = |listener: &TcpListener| listener.local_addr().unwrap().port();
        let (url, cdn_place) = (format!("https://hub.test:{}", port(&hub)), format!("cdn.test:{}", port(&cdn)));
        let options = Options {
            public_base: Some(url.clone()),
            cdn_base: Some(format!("https://{cdn_place}")),
            ..Options::default()
        };
        let mock = MockHf::start_with(options).await.unwrap();
        let config = config(asks_for_certificates);
        tokio::spawn(front(hub, mock.hub_addr().unwrap(), Arc::clone(&config)));
        tokio::spawn(front(cdn, mock.cdn_addr().unwrap(), config));
        Self { mock, url, cdn: cdn_place }
    }
}
