//! Through real sockets: every byte is compared, no timing is asserted.

use std::time::Duration;

use rustix::fs::{Advice, fadvise};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpSocket, TcpStream};

use super::harness::*;
use super::*;

#[tokio::test]
async fn a_big_body_leaves_by_sendfile_and_only_its_head_is_copied() {
    let _alone = COUNTERS.write().await;
    let server = server().await;
    let mut client = server.client().await;
    let before = counters();
    same(&client.get("/file").await, server.content);
    let after = counters();
    assert_eq!(after.0 - before.0, SIZE as u64);
    assert!(after.1 - before.1 < 1024, "{} bytes were copied", after.1 - before.1);
    same(&client.get("/read").await, server.content);
    assert!(counters().1 - after.1 > SIZE as u64);
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn every_range_has_its_bytes() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let mut client = server.client().await;
    let small = 16 * 1024;
    let ranges = [
        0..1,
        SIZE - 1..SIZE,
        0..SIZE,
        7..7,
        SIZE..SIZE,
        1..SIZE - 1,
        4095..4097,
        100..100 + small - 1,
        100..100 + small,
        100..100 + small + 1,
        2 * MIB - 1..2 * MIB + 1,
        2 * MIB - 40_000..4 * MIB + 40_000,
        4 * MIB..8 * MIB,
        4 * MIB + 1..8 * MIB + 1,
        SIZE - 40_000..SIZE,
    ];
    for range in ranges {
        for path in ["/file", "/read"] {
            let body = client.get(&format!("{path}?start={}&end={}", range.start, range.end)).await;
            same(&body, &server.content[range.clone()]);
        }
    }
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn head_tells_the_size_and_leaves_no_region() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let mut client = server.client().await;
    client.send(&["HEAD /file", "GET /text"]).await;
    let (_, length) = client.head().await;
    assert_eq!(length, SIZE);
    assert_eq!(client.response().await, b"some text");
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn pipelined_requests_are_answered_in_order() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let mut client = server.client().await;
    for _ in 0..3 {
        client
            .send(&[
                "GET /file?end=100000",
                "GET /text",
                "GET /file?start=50000&end=3000000",
                "GET /file?start=50000&end=3000000",
                "HEAD /file",
                "GET /file?start=10&end=20",
                "GET /read?start=1",
                "GET /text",
                "GET /file",
            ])
            .await;
        same(&client.response().await, &server.content[..100_000]);
        assert_eq!(client.response().await, b"some text");
        same(&client.response().await, &server.content[50_000..3_000_000]);
        same(&client.response().await, &server.content[50_000..3_000_000]);
        assert_eq!(client.head().await.1, SIZE);
        same(&client.response().await, &server.content[10..20]);
        same(&client.response().await, &server.content[1..]);
        assert_eq!(client.response().await, b"some text");
        same(&client.response().await, server.content);
    }
    drop(client);
    server.end().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_clients_at_once_all_get_every_byte() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let clients = (0..32).map(|i| {
        let (address, content) = (server.address, server.content);
        tokio::spawn(async move {
            let mut client = Client(TcpStream::connect(address).await.unwrap());
            let start = i * 1_001;
            same(&client.get(&format!("/file?start={start}")).await, &content[start..]);
            same(&client.get("/file").await, content);
        })
    });
    for client in clients.collect::<Vec<_>>() {
        client.await.unwrap();
    }
    server.end().await;
}

#[tokio::test]
async fn a_file_out_of_memory_is_read_again() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    for path in ["/file", "/read", "/file?start=5000000"] {
        fadvise(server.disk.as_file(), 0, None, Advice::DontNeed).unwrap();
        let start = if path.contains("start") { 5_000_000 } else { 0 };
        same(&server.client().await.get(path).await, &server.content[start..]);
    }
    server.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_takes_its_regions_along() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    for _ in 0..20 {
        let mut client = server.client().await;
        client.send(&["GET /file", "GET /file"]).await;
        let (_, length) = client.head().await;
        client.body(length / 100).await;
    }
    same(&server.client().await.get("/file").await, server.content);
    server.end().await;
}

#[tokio::test]
async fn a_slow_reader_gets_every_byte() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let mut client = Client(socket.connect(server.address).await.unwrap());
    client.send(&["GET /file"]).await;
    let (_, length) = client.head().await;
    let mut body = Vec::new();
    while body.len() < length {
        body.extend(client.body(1_500.min(length - body.len())).await);
        tokio::task::yield_now().await;
    }
    same(&body, server.content);
    drop(client);
    server.end().await;
}

#[tokio::test]
async fn a_truncated_file_ends_the_connection_and_nothing_else() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    for (left, path) in
        [(5 * MIB, "/file"), (MIB, "/file?end=2000000"), (100, "/read"), (0, "/file"), (0, "/file?end=10")]
    {
        server.disk.as_file().set_len(left as u64).unwrap();
        let mut client = server.client().await;
        client.send(&[&format!("GET {path}")]).await;
        let got = client.rest().await;
        assert!(got.len() <= left + 1024, "{} bytes of {left}", got.len());
        assert_eq!(server.client().await.get("/text").await, b"some text");
    }
    server.end().await;
}

#[tokio::test]
async fn half_a_head_is_not_waited_for() {
    let _shared = COUNTERS.read().await;
    let limits = Limits { header_timeout: Duration::from_millis(100), ..Limits::default() };
    let server = Server::start(limits, HOUR).await;
    let mut client = server.client().await;
    client.0.write_all(b"GET /text HTTP/1.1\r\nHos").await.unwrap();
    client.rest().await;
    server.client().await.rest().await;
    server.end().await;
}

#[tokio::test]
async fn whoever_is_idle_longest_makes_room_and_whoever_is_busy_does_not() {
    let _shared = COUNTERS.read().await;
    for limits in [Limits { max_per_peer: 2, ..Limits::default() }, Limits { max_connections: 2, ..Limits::default() }]
    {
        let server = Server::start(limits, HOUR).await;
        let (mut one, mut two) = (server.client().await, server.client().await);
        one.get("/text").await;
        two.get("/text").await;
        let mut three = server.client().await;
        assert_eq!(three.get("/text").await, b"some text");
        assert_eq!(one.rest().await, b"");
        // Who never asked for anything goes before those who did, however new he is.
        let mut silent = server.client().await;
        assert_eq!(two.rest().await, b"");
        let mut four = server.client().await;
        assert_eq!(four.get("/text").await, b"some text");
        assert_eq!(silent.rest().await, b"");
        // With both busy there is no room, and both get all that is theirs.
        for client in [&mut three, &mut four] {
            client.send(&["GET /file", "GET /file", "GET /file"]).await;
            client.head().await;
        }
        assert_eq!(server.client().await.rest().await, b"");
        for client in [&mut three, &mut four] {
            same(&client.body(SIZE).await, server.content);
            same(&client.response().await, server.content);
            same(&client.response().await, server.content);
        }
        assert_eq!(server.client().await.get("/text").await, b"some text");
        drop(four);
        server.end().await;
    }
}

#[tokio::test]
async fn nobody_uses_a_connection_of_http_2_for_ever() {
    let _shared = COUNTERS.read().await;
    let limits = Limits { idle: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start_speaking(Speaks::Http1And2, limits, HOUR).await;
    let mut client = server.client().await;
    // The preface, settings, and a GET of `/`, of fields that HPACK knows by numbers.
    client.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    client.0.write_all(b"\0\0\x03\x01\x05\0\0\0\x01\x82\x86\x84").await.unwrap();
    let said = client.rest().await;
    // It is answered, then told to go: a frame of headers, and one of type GOAWAY.
    let has = |kind: u8, stream: u8| said.windows(9).any(|head| head[3] == kind && head[5..9] == [0, 0, 0, stream]);
    assert!(has(1, 1) && has(7, 0), "{said:?}");
    server.end().await;
}

#[tokio::test]
async fn a_peer_of_http_2_that_gives_no_leave_is_cut_off() {
    let _shared = COUNTERS.read().await;
    let limits = Limits { write_stall: Duration::from_millis(200), ..Limits::default() };
    let limits = Limits { header_timeout: Duration::from_millis(200), ..limits };
    let server = Server::start_speaking(Speaks::Http1And2, limits, HOUR).await;
    let mut client = server.client().await;
    // Settings with an initial window of nothing, and a GET of a file.
    client.0.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\x06\x04\0\0\0\0\0\0\x04\0\0\0\0").await.unwrap();
    client.0.write_all(b"\0\0\x09\x01\x05\0\0\0\x01\x82\x86\x04\x05/read").await.unwrap();
    // It takes all that comes, the pings too.
    let said = client.rest().await;
    assert!(said.windows(9).any(|head| head[3] == 1 && head[5..9] == [0, 0, 0, 1]), "{said:?}");
    assert!(said.len() < 1000, "{} bytes", said.len());
    server.end().await;
}

#[tokio::test]
async fn a_peer_that_takes_nothing_is_cut_off() {
    let _shared = COUNTERS.read().await;
    let limits = Limits { write_stall: Duration::from_millis(200), ..Limits::default() };
    let server = Server::start(limits, HOUR).await;
    let mut client = server.client().await;
    client.send(&["GET /file", "GET /file", "GET /file", "GET /file"]).await;
    client.head().await;
    // The drain is an hour: only the stall ends this connection.
    server.end().await;
    assert!(client.rest().await.len() < 4 * SIZE);
}

#[tokio::test]
async fn stop_lets_a_transfer_finish_and_closes_idle_connections() {
    let _shared = COUNTERS.read().await;
    let server = server().await;
    let (mut idle, mut busy) = (server.client().await, server.client().await);
    idle.get("/text").await;
    busy.send(&["GET /file"]).await;
    let (_, length) = busy.head().await;
    server.stop.cancel();
    assert_eq!(idle.rest().await, b"");
    assert!(TcpStream::connect(server.address).await.is_err());
    same(&busy.body(length).await, server.content);
    assert_eq!(busy.rest().await, b"");
    server.end().await;
}

#[tokio::test]
async fn a_transfer_that_outlasts_the_drain_is_aborted() {
    let _shared = COUNTERS.read().await;
    let server = Server::start(Limits::default(), Duration::from_millis(100)).await;
    let mut busy = server.client().await;
    busy.send(&["GET /file", "GET /file", "GET /file", "GET /file"]).await;
    busy.head().await;
    server.end().await;
}
