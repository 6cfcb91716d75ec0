//! Where this hub may be led by what upstream says: to upstream itself and to listed hosts, and nowhere else.

use mock_hf::{Fault, MockHf, Repo, Rule, TOKEN_ALICE};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::harness::process::Server;
use crate::harness::repos::weights;
use crate::harness::{Client, TestHub};

const FILE: &str = "/org/model/resolve/main/model.safetensors";

/// Another service of upstream's host: its address, and the heads of the requests that came to it.
async fn canary() -> (String, UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
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

fn model() -> Repo {
    Repo::model("org/model").file("config.json", "{}").lfs("model.safetensors", weights())
}

#[tokio::test]
async fn a_redirect_to_another_port_of_upstreams_host_is_refused() {
    let (dir, mock, (address, mut seen)) = (tempfile::tempdir().unwrap(), MockHf::start().await, canary().await);
    mock.put(model());
    let fault = mock.fault(
        Rule::on_hub("model.safetensors")
            .method("GET")
            .fault(Fault::RedirectTo(format!("http://{address}/latest/meta-data"))),
    );
    let client = Client::new();
    for _ in 0..2 {
        // The second is a process of its own on the same directory.
        let mut server =
            Server::spawn(dir.path(), &mock.url(), &[("upstream.cdn_hosts", ""), ("flight.attempts", "1")]);
        let hub = server.addresses().await.unwrap().hub;
        for _ in 0..2 {
            let reply = client.call("GET", &format!("{hub}{FILE}"), &[], "").await;
            assert_eq!(reply.status, 502, "{}", reply.text());
            let port = address.rsplit_once(':').unwrap().1;
            let expected = format!("port {port} of 127.0.0.1 is not allowed");
            assert!(
                reply.text().contains(&expected) && reply.text().contains("upstream.cdn_hosts"),
                "{}",
                reply.text()
            );
        }
        server.terminate();
        server.ended().await;
    }
    assert!(seen.try_recv().is_err(), "the other service was asked");
    // What is listed with its port may be reached.
    let mut server =
        Server::spawn(dir.path(), &mock.url(), &[("upstream.cdn_hosts", &mock.cdn_url()["http://".len()..])]);
    let hub = server.addresses().await.unwrap().hub;
    assert!(mock.remove_fault(fault));
    client.call("GET", &format!("{hub}{FILE}"), &[], "").await.assert_is(200, &weights().read_all());
    server.terminate();
    server.ended().await;
}

#[tokio::test]
async fn a_next_page_never_leads_away_from_upstream() {
    let (address, mut seen) = canary().await;
    let hub = TestHub::builder().repo(model()).start().await;
    // Upstream's own URL stands at the beginning of each, and the host is another one.
    for link in [
        format!("<{}@{address}/x>; rel=\"next\"", hub.mock.url()),
        format!("<{}.canary.invalid/x>; rel=\"next\"", hub.mock.url()),
        format!("<http://{address}/x>; rel=\"next\""),
    ] {
        let rule = Rule::on_hub("/tree/").fault(Fault::SetHeader { name: "link".into(), value: link.clone() });
        let fault = hub.mock.fault(rule);
        let refused = hub.get_as(TOKEN_ALICE, "/api/models/org/model/tree/main?recursive=true").await;
        assert_eq!(refused.status, 502, "{link}: {}", refused.text());
        // A listing without its end is not passed through as if it were whole.
        let passed = hub.get_as(TOKEN_ALICE, "/api/models/org/model/tree/main?expand=true&limit=1").await;
        assert_eq!((passed.status, passed.header("link")), (502, ""), "{link}");
        hub.mock.remove_fault(fault);
    }
    assert!(seen.try_recv().is_err(), "another host was asked");
    let reply = hub.get_as(TOKEN_ALICE, "/api/models/org/model/tree/main?recursive=true").await;
    assert_eq!((reply.status, reply.json().as_array().unwrap().len()), (200, 2), "{}", reply.text());
    hub.finish().await;
}
