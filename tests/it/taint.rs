//! A wrong body that clients have seen a part of: what they hold must not become a file.

use mock_hf::{Content, Fault, Repo, Rule};

use crate::harness::repos::MIB;
use crate::harness::{Outcome, TestHub, store};

const SIZE: u64 = 12 * MIB;
const PATH: &str = "/org/big/resolve/main/big.bin";

fn big() -> Content {
    Content::random(3, SIZE)
}

/// A client has received a wrong body up to its last part; upstream is right again.
async fn tainted() -> TestHub {
    let hub = TestHub::builder()
        .small_segments()
        .manual_clock()
        .repo(Repo::model("org/big").lfs("big.bin", big()))
        .start()
        .await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(SIZE / 2)));
    let reply = hub.get(PATH).await;
    assert!(reply.status == 200 && reply.broken.is_some(), "a wrong body must break");
    // How much of it the reset leaves readable is up to the network.
    assert!(!reply.body.is_empty() && (reply.body.len() as u64) < SIZE, "{}", reply.body.len());
    hub.landed().await;
    assert!(store::blobs(hub.data_dir()).is_empty());
    assert_eq!(store::quarantined(hub.data_dir()), 1, "the wrong body is kept for people to look at");
    hub.mock.clear_faults();
    hub
}

async fn assert_tainted(hub: &TestHub) {
    for range in ["bytes=0-99", "bytes=1000-2000", "bytes=-100"] {
        let reply = hub.get_with(PATH, &[("range", range)]).await;
        assert_eq!((reply.status, reply.header("retry-after")), (503, "5"), "{range} {}", reply.text());
    }
}

#[tokio::test]
async fn an_open_range_is_answered_with_the_whole_right_body() {
    let hub = tainted().await;
    assert_tainted(&hub).await;
    // What huggingface_hub sends to continue, and what hf_transfer sends for the last part.
    let reply = hub.get_with(PATH, &[("range", &format!("bytes={}-", SIZE / 2 + 5))]).await;
    reply.assert_is(200, &big().read_all());
    assert_eq!(reply.header("content-range"), "");
    hub.finish().await;
}

#[tokio::test]
async fn who_holds_more_than_the_file_has_is_told_what_helps_and_not_sent_the_file_once_more() {
    let hub = tainted().await;
    // Twice: before, each answer was the whole body, which old clients add to what they hold.
    for first in [SIZE, SIZE + 5, SIZE, SIZE + 5] {
        let reply = hub.get_with(PATH, &[("range", &format!("bytes={first}-"))]).await;
        assert_eq!((reply.status, reply.header("content-range")), (416, format!("bytes */{SIZE}").as_str()));
        assert!(reply.header("x-error-message").contains("force_download=True"), "{:?}", reply.headers);
        assert!(reply.text().contains(".incomplete"), "{}", reply.text());
    }
    assert_tainted(&hub).await;
    hub.get(PATH).await.assert_is(200, &big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_last_piece_past_the_end_is_answered_with_the_whole_right_body() {
    let hub = tainted().await;
    let reply = hub.get_with(PATH, &[("range", &format!("bytes={}-{SIZE}", SIZE / 2))]).await;
    reply.assert_is(200, &big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn after_one_whole_good_body_all_is_normal_again() {
    let hub = tainted().await;
    assert_eq!(hub.client.compare(&hub.at(PATH), &big()).await, Outcome::Right);
    hub.landed().await;
    hub.get_with(PATH, &[("range", "bytes=1000-1999")]).await.assert_is(206, &big().read_range(1000, 1000));
    hub.get_with(PATH, &[("range", "bytes=1000-")]).await.assert_is(206, &big().read_range(1000, SIZE));
    hub.finish().await;
}

#[tokio::test]
async fn a_restart_does_not_forget_it_and_a_week_does() {
    let hub = tainted().await.restart().await;
    assert_tainted(&hub).await;
    let hub = hub.restart().await;
    assert_tainted(&hub).await;
    hub.clock.advance(std::time::Duration::from_secs(7 * 24 * 3600 + 1));
    hub.get_with(PATH, &[("range", "bytes=1000-1999")]).await.assert_is(206, &big().read_range(1000, 1000));
    hub.finish().await;
}

#[tokio::test]
async fn a_body_that_breaks_clears_nothing() {
    let hub = tainted().await;
    let partial = hub.client.send("GET", &hub.at(PATH), &[], "").await.unwrap();
    drop(partial);
    hub.landed().await;
    assert_tainted(&hub).await;
    hub.finish().await;
}

#[tokio::test]
async fn a_wrong_body_that_nobody_saw_is_fetched_again_in_silence() {
    let content = Content::random(4, 300_000);
    let hub = TestHub::builder().repo(Repo::model("org/big").lfs("small.bin", content.clone())).start().await;
    hub.mock.fault(Rule::on_cdn("").times(1).fault(Fault::FlipByte(1000)));
    hub.get("/org/big/resolve/main/small.bin").await.assert_is(200, &content.read_all());
    hub.get_with("/org/big/resolve/main/small.bin", &[("range", "bytes=5-9")])
        .await
        .assert_is(206, &content.read_range(5, 5));
    hub.finish().await;
}

#[tokio::test]
async fn small_wrong_files_are_refused_before_their_first_byte() {
    let content = Content::random(4, 300_000);
    let hub = TestHub::builder()
        .repo(Repo::model("org/big").lfs("small.bin", content.clone()).file("config.json", "{\"a\": 1}"))
        .start()
        .await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(5)));
    hub.mock.fault(Rule::on_hub("/api/resolve-cache/").fault(Fault::FlipByte(5)));
    for path in ["small.bin", "config.json"] {
        let reply = hub.get(&format!("/org/big/resolve/main/{path}")).await;
        assert!(reply.status >= 500, "{path} {}", reply.status);
        assert!(reply.header("x-error-message").contains("wrong bytes"), "{path} {:?}", reply.error());
    }
    assert!(store::blobs(hub.data_dir()).is_empty());
    hub.mock.clear_faults();
    hub.get("/org/big/resolve/main/small.bin").await.assert_is(200, &content.read_all());
    hub.get("/org/big/resolve/main/config.json").await.assert_is(200, b"{\"a\": 1}");
    hub.finish().await;
}

#[tokio::test]
async fn while_upstream_stays_wrong_nothing_unproven_is_sent() {
    // A client that sees progress tries again for ever; one that sees none gives up.
    let hub = tainted().await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(SIZE / 2)));
    let second = hub.get(PATH).await;
    assert!(second.broken.is_some() || second.status == 502);
    hub.landed().await;
    let third = hub.get(PATH).await;
    assert_eq!((third.status, third.broken.is_none()), (502, true), "a clean refusal");
    hub.landed().await;
    hub.mock.clear_faults();
    hub.get(PATH).await.assert_is(200, &big().read_all());
    hub.finish().await;
}

#[tokio::test]

async fn a_wrong_beginning_of_before_a_restart_gets_no_right_end() {
    let hub = TestHub::builder()
        .set("flight.segment_size", "256KiB")
        .set("flight.verify_first", "64KiB")
        .set("flight.hold_back", "1MiB")
        .repo(Repo::model("org/big").lfs("big.bin", big()))
        .start()
        .await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(SIZE / 2)));
    // All that a client has of a wrong body when the hub stops: its last MiB is held back.
    let last = SIZE - MIB;
    let seen = hub.get_with(PATH, &[("range", &format!("bytes=0-{}", last - 1))]).await;
    assert!(seen.status == 206 && seen.broken.is_none() && seen.body != big().read_range(0, last));
    let hub = hub.restart().await;
    hub.mock.clear_faults();
    let rest = hub.get_with(PATH, &[("range", &format!("bytes={last}-"))]).await;
    // Cut off, refused, or made to start over; not the rest of the right one.
    assert!(rest.broken.is_some() || rest.status != 206, "a wrong beginning got a right end");
    hub.finish().await;
}
