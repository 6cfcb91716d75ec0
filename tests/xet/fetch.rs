//! Downloads from upstream by Xet, and what follows when Xet fails.

use bytes::Bytes;
use mock_hf::{Content, Fault, Options, Repo, Rule, TOKEN_ALICE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::harness::repos::MIB;
use crate::harness::{Builder, TestHub};

const PATH: &str = "/org/big/resolve/main/big.bin";

fn with_store() -> Options {
    Options { xet_store: true, ..Options::default() }
}

/// A file of `content` in a mock with a real Xet store.
fn hub_with(content: &Content) -> Builder {
    TestHub::builder().options(with_store()).repo(Repo::model("org/big").lfs("big.bin", content.clone()))
}

/// Numbers that pack well by bytes in groups of four, runs of zeros, noise, and all of it twice: every
/// way of packing a chunk, and chunks that the file has more than once.
fn mixed() -> Content {
    let floats = (0..300_000_u32).flat_map(|i| (1.0 + f32::from(i as u16) / 65536.0).to_le_bytes());
    let text = "what is often repeated packs well; ".repeat(20_000);
    let once: Vec<u8> =
        floats.chain(vec![0; 700_000]).chain(text.into_bytes()).chain(Content::random(7, MIB).read_all()).collect();
    Content::Bytes(Bytes::from([once.clone(), once].concat()))
}

#[tokio::test]
async fn a_cold_file_comes_by_xet_and_the_download_host_sends_nothing() {
    let content = Content::random(1, 40 * MIB + 12345);
    let hub = hub_with(&content).start().await;
    let reply = hub.get(PATH).await;
    reply.assert_is(200, &content.read_all());
    assert_eq!((reply.served(), hub.cdn_bytes()), ("miss", 0));
    // It is a blob like any other.
    hub.landed().await;
    assert_eq!(hub.get(PATH).await.served(), "hit");
    hub.finish().await;
}

#[tokio::test]
async fn packed_and_repeated_chunks_come_right_in_many_small_ranges() {
    let content = mixed();
    let hub = hub_with(&content).small_segments().start().await;
    hub.get(PATH).await.assert_is(200, &content.read_all());
    assert_eq!(hub.cdn_bytes(), 0);
    hub.finish().await;
}

#[tokio::test]
async fn a_range_in_the_middle_comes_by_xet() {
    let content = mixed();
    let hub = hub_with(&content).small_segments().start().await;
    let reply = hub.get_with(PATH, &[("range", "bytes=1234567-1999999")]).await;
    reply.assert_is(206, &content.read_range(1_234_567, 2_000_000 - 1_234_567));
    assert_eq!(hub.cdn_bytes(), 0);
    hub.finish().await;
}

#[tokio::test]
async fn an_older_store_is_asked_in_the_older_form() {
    let content = mixed();
    let hub = hub_with(&content).small_segments().start().await;
    hub.mock.age_xet_store();
    hub.get(PATH).await.assert_is(200, &content.read_all());
    assert_eq!(hub.cdn_bytes(), 0);
    hub.finish().await;
}

#[tokio::test]
async fn the_files_of_a_commit_share_a_token_and_callers_do_not() {
    let names = ["a.bin", "b.bin", "c.bin"];
    let repo =
        (30..).zip(names).fold(Repo::model("org/big"), |repo, (seed, name)| repo.lfs(name, Content::random(seed, MIB)));
    let hub = TestHub::builder().options(with_store()).repo(repo).start().await;
    let tokens = || hub.mock.requests().iter().filter(|call| call.path.contains("xet-read-token")).count();
    for name in &names[..2] {
        assert_eq!(hub.get(&format!("/org/big/resolve/main/{name}")).await.status, 200);
    }
    assert_eq!(tokens(), 1);
    assert_eq!(hub.get_as(TOKEN_ALICE, "/org/big/resolve/main/c.bin").await.status, 200);
    assert_eq!((tokens(), hub.cdn_bytes()), (2, 0));
    hub.finish().await;
}

#[tokio::test]
async fn a_refused_token_means_plain_http() {
    let content = Content::random(2, 10 * MIB);
    let hub = hub_with(&content).small_segments().start().await;
    hub.mock.fault(Rule::on_hub("xet-read-token").fault(Fault::Status {
        code: 403,
        error_code: None,
        message: "a fault".into(),
        retry_after: None,
        ratelimit: None,
    }));
    hub.get(PATH).await.assert_is(200, &content.read_all());
    assert!(hub.cdn_bytes() >= content.size());
    hub.finish().await;
}

#[tokio::test]
async fn plain_http_goes_on_where_xet_broke_off_also_after_a_restart() {
    let content = Content::random(3, 10 * MIB);
    let hub = hub_with(&content).small_segments().start().await;
    let range = hub.get_with(PATH, &[("range", "bytes=0-4194303")]).await;
    range.assert_is(206, &content.read_range(0, 4 * MIB));
    hub.landed().await;
    hub.mock.stop_xet_store();
    let hub = hub.restart().await;
    hub.get(PATH).await.assert_is(200, &content.read_all());
    let sent = hub.cdn_bytes();
    assert!((1..=6 * MIB).contains(&sent), "{sent} bytes came by HTTP, 6 MiB were missing");
    hub.finish().await;
}

#[tokio::test]
async fn a_file_that_the_download_host_refuses_comes_by_xet() {
    let content = Content::random(4, 10 * MIB);
    let options = Options { bridge_limit: Some(5 * MIB), ..with_store() };
    for fetch in ["auto", "always"] {
        let hub = hub_with(&content).options(options.clone()).small_segments().set("xet.fetch", fetch).start().await;
        hub.get(PATH).await.assert_is(200, &content.read_all());
        hub.landed().await;
        assert_eq!(hub.get(PATH).await.served(), "hit", "{fetch}");
        hub.finish().await;
    }
}

#[tokio::test]
async fn by_itself_xet_is_left_alone_where_the_download_host_sends_the_file() {
    let content = Content::random(6, 10 * MIB);
    let hub = hub_with(&content).set("xet.fetch", "auto").start().await;
    hub.get(PATH).await.assert_is(200, &content.read_all());
    let tokens = hub.mock.requests().iter().filter(|call| call.path.contains("xet-read-token")).count();
    assert_eq!((tokens, hub.cdn_bytes()), (0, content.size()));
    hub.finish().await;
}

#[tokio::test]
async fn without_xet_such_a_file_is_refused_with_the_reason() {
    let content = Content::random(5, 10 * MIB);
    let options = Options { bridge_limit: Some(5 * MIB), ..with_store() };
    let hub = hub_with(&content).options(options).set("xet.fetch", "never").start().await;
    let reply = hub.get(PATH).await;
    let (status, _, message) = reply.error();
    assert_eq!(status, 502);
    assert!(message.contains("50 GB") && message.contains("Xet"), "{message}");
    hub.finish().await;
}

/// What the hub's connections to a stranger begin with; each is answered with an error.
async fn stranger() -> (String, tokio::sync::mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://localhost:{}", listener.local_addr().unwrap().port());
    let (send, receive) = tokio::sync::mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = socket.read(&mut head).await.unwrap_or(0);
            let _ = send.send(String::from_utf8_lossy(&head[..read]).into_owned());
            let _ = socket.write_all(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n").await;
        }
    });
    (address, receive)
}

#[tokio::test]
async fn a_store_that_is_not_listed_is_never_contacted() {
    let (address, mut seen) = stranger().await;
    let content = Content::random(6, 3 * MIB);
    let options = Options { xet_base: Some(address), ..with_store() };
    let hub = hub_with(&content).options(options).small_segments().start().await;
    hub.get(PATH).await.assert_is(200, &content.read_all());
    hub.finish().await;
    assert!(seen.try_recv().is_err());
}

#[tokio::test]
async fn a_listed_store_gets_its_own_token_and_not_the_callers() {
    let (address, mut seen) = stranger().await;
    let content = Content::random(7, 3 * MIB);
    let options = Options { xet_base: Some(address), ..with_store() };
    let hub = hub_with(&content)
        .options(options)
        .small_segments()
        .set("upstream.cdn_hosts", "localhost,127.0.0.1")
        .start()
        .await;
    hub.get_as(TOKEN_ALICE, PATH).await.assert_is(200, &content.read_all());
    hub.finish().await;
    let head = seen.recv().await.unwrap();
    assert!(head.starts_with("GET /v2/reconstructions/"), "{head}");
    assert!(head.to_lowercase().contains("authorization: bearer mock-xet-token-"), "{head}");
    while let Ok(next) = seen.try_recv() {
        assert!(!next.contains(TOKEN_ALICE), "{next}");
    }
    assert!(!head.contains(TOKEN_ALICE));
}

/// How a store of Xet can go wrong.
#[derive(Debug, Clone, Copy)]
enum Trouble {
    NoRecipe,
    NoPieces,
    PieceElsewhere,
    Redirect,
    StatusOfPiece,
    ShortPiece,
    BodyBreaks,
    BadHead,
    WrongSum,
    WrongBytes,
    Forbidden,
    /// It refuses one token, and is right from then on.
    ExpiredToken,
}

/// A store that has one file of one chunk and says and sends what it should not.
async fn broken_store(content: Bytes, trouble: Trouble) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let base = format!("http://127.0.0.1:{port}");
    let size = content.len();
    let mut piece = vec![u8::from(matches!(trouble, Trouble::BadHead)) * 9];
    piece.extend_from_slice(&(size as u32).to_le_bytes()[..3]);
    piece.push(0);
    piece.extend_from_slice(&(size as u32).to_le_bytes()[..3]);
    piece.extend_from_slice(&content);
    if matches!(trouble, Trouble::WrongBytes) {
        piece[4000] ^= 1;
    }
    let place = match trouble {
        Trouble::PieceElsewhere => format!("http://localhost:{port}"),
        _ => base.clone(),
    };
    let sum = size - usize::from(matches!(trouble, Trouble::WrongSum));
    let pieces = match trouble {
        Trouble::NoPieces => serde_json::json!([]),
        _ => serde_json::json!([{
            "url": format!("{place}/piece"),
            "ranges": [{"chunks": {"start": 0, "end": 1}, "bytes": {"start": 0, "end": piece.len() - 1}}],
        }]),
    };
    let recipe = serde_json::json!({
        "offset_into_first_range": 0,
        "terms": [{"hash": "aa", "unpacked_length": sum, "range": {"start": 0, "end": 1}}],
        "xorbs": {"aa": pieces},
    });
    tokio::spawn(async move {
        let mut has_refused = false;
        while let Ok((mut socket, _)) = listener.accept().await {
            let mut head = vec![0; 4096];
            let read = socket.read(&mut head).await.unwrap_or(0);
            let is_piece = head[..read].starts_with(b"GET /piece");
            let (status, mut body) = match (is_piece, trouble) {
                (false, Trouble::Forbidden) => ("403 Forbidden", Vec::new()),
                (false, Trouble::ExpiredToken) if !std::mem::replace(&mut has_refused, true) => {
                    ("401 Unauthorized", Vec::new())
                }
                (false, Trouble::NoRecipe) => ("200 OK", b"<html>".to_vec()),
                (false, _) => ("200 OK", recipe.to_string().into_bytes()),
                (true, Trouble::StatusOfPiece) => ("500 No", Vec::new()),
                (true, Trouble::Redirect) => ("302 Found\r\nLocation: /elsewhere", Vec::new()),
                (true, Trouble::ShortPiece) => ("206 Partial Content", piece[..piece.len() - 1].to_vec()),
                (true, _) => ("206 Partial Content", piece.clone()),
            };
            let length = body.len();
            if is_piece && matches!(trouble, Trouble::BodyBreaks) {
                body.truncate(length / 2);
            }
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
            let _ = socket.write_all(&[head.as_bytes(), &body].concat()).await;
        }
    });
    base
}

#[tokio::test]
async fn a_token_that_has_expired_is_replaced() {
    let content = Content::random(21, 100_000);
    let base = broken_store(content.read_all(), Trouble::ExpiredToken).await;
    let hub = hub_with(&content).options(Options { xet_base: Some(base), ..Options::default() }).start().await;
    hub.get(PATH).await.assert_is(200, &content.read_all());
    assert_eq!(hub.cdn_bytes(), 0);
    let tokens = hub.mock.requests().iter().filter(|call| call.path.contains("xet-read-token")).count();
    assert_eq!(tokens, 2);
    hub.finish().await;
}

#[tokio::test]
async fn whatever_a_store_does_wrong_the_file_comes_right_by_plain_http() {
    let troubles = [
        Trouble::NoRecipe,
        Trouble::NoPieces,
        Trouble::PieceElsewhere,
        Trouble::Redirect,
        Trouble::StatusOfPiece,
        Trouble::ShortPiece,
        Trouble::BodyBreaks,
        Trouble::BadHead,
        Trouble::WrongSum,
        Trouble::WrongBytes,
        Trouble::Forbidden,
    ];
    for trouble in troubles {
        let content = Content::random(20, 100_000);
        let base = broken_store(content.read_all(), trouble).await;
        let options = Options { xet_base: Some(base), ..Options::default() };
        let hub = hub_with(&content).options(options).start().await;
        let reply = hub.get(PATH).await;
        assert!((reply.status, &reply.body[..]) == (200, &content.read_all()[..]), "{trouble:?} {}", reply.status);
        assert!(hub.cdn_bytes() > 0, "{trouble:?} did no harm");
        hub.finish().await;
    }
}
