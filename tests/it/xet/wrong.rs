//! Wrong bytes from upstream. Clients of Xet check lengths only: what they hold of a wrong body
//! must not become a file, and a wrong beginning must get no right end.

use std::time::Duration;

use futures_util::future::join_all;
use mock_hf::{Content, Fault, Repo, Rule};

use super::client::{Grant, Recipe, Xet};
use super::{PATH, REPO, SIZE, XORB, big, offered, repo};
use crate::harness::{Client, TestHub, store};

/// What a client holds that had to do with a wrong body.
struct Before {
    grant: Grant,
    recipe: Recipe,
    file: String,
}

/// A client has received all of a wrong body but its end; upstream is right again.
async fn tainted() -> (TestHub, Xet, Before) {
    let hub = TestHub::builder().small_segments().manual_clock().repo(repo()).start().await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(XORB + 5)));
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    hub.clock.advance(Duration::from_secs(1));
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    let ranges: Vec<_> = recipe.terms.iter().map(super::client::Term::range).collect();
    let terms = recipe.terms.iter().zip(&ranges).map(|(term, range)| xet.ask_xorb(&term.url, Some(range)));
    let replies = join_all(terms).await;
    let last = replies.last().unwrap();
    assert!(last.broken.is_some() || last.status >= 500, "the last xorb came to its end: {:?}", last.error());
    assert!(replies.iter().any(|reply| !reply.body.is_empty()), "nobody has seen anything");
    hub.landed().await;
    assert_eq!(store::quarantined(hub.data_dir()), 1);
    assert!(store::blobs(hub.data_dir()).is_empty());
    hub.clock.advance(Duration::from_secs(1));
    hub.mock.clear_faults();
    (hub, xet, Before { grant, recipe, file })
}

async fn assert_void(xet: &Xet, before: &Before) {
    for range in [None, Some("bytes=0-99"), Some("bytes=9000000-")] {
        let reply = xet.ask_recipe(&before.grant, 2, &before.file, range).await;
        assert_eq!(reply.status, 401, "{range:?} {:?}", reply.error());
        assert!(reply.header("x-error-message").contains("wrong bytes"), "{:?}", reply.error());
    }
    for term in &before.recipe.terms {
        let reply = xet.ask_xorb(&term.url, Some(&term.range())).await;
        assert_eq!(reply.status, 404, "hf_xet asks for a new recipe on 403");
    }
}

#[tokio::test]
async fn what_was_handed_out_before_a_wrong_body_is_void_and_a_new_token_gets_the_right_file() {
    let (hub, xet, before) = tainted().await;
    assert_void(&xet, &before).await;
    let grant = xet.token(REPO, None).await;
    assert!(xet.get(&grant, 2, &before.file, 0..SIZE).await == big().read_all());
    hub.landed().await;
    // Whoever keeps chunks by the name of their xorb finds no wrong ones under the new names.
    let again = xet.recipe(&grant, 2, &before.file, None).await;
    assert_eq!(again.terms.len(), before.recipe.terms.len());
    assert!(again.terms.iter().zip(&before.recipe.terms).all(|(new, old)| new.xorb != old.xorb));
    // Also when the right bytes are here.
    assert_void(&xet, &before).await;
    assert!(xet.get(&grant, 1, &before.file, XORB..XORB + 99).await == big().read_range(XORB, 99));
    hub.finish().await;
}

#[tokio::test]
async fn a_restart_does_not_make_the_void_valid_again() {
    let (hub, _, mut before) = tainted().await;
    let hub = hub.restart().await;
    let xet = Xet::from(&hub);
    let base = before.grant.cas.trim_end_matches("/xet").to_owned();
    for term in &mut before.recipe.terms {
        term.url = term.url.replace(&base, &xet.base);
    }
    before.grant.cas = before.grant.cas.replace(&base, &xet.base);
    assert_void(&xet, &before).await;
    let grant = xet.token(REPO, None).await;
    assert_eq!(xet.ask_recipe(&grant, 2, &before.file, Some("bytes=100-")).await.status, 401);
    assert!(xet.get(&grant, 2, &before.file, 0..SIZE).await == big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_peer_that_has_not_begun_again_gets_no_later_part() {
    let (hub, xet, before) = tainted().await;
    let neighbour = Xet { http: Client::from_address([127, 0, 0, 2].into()), base: xet.base.clone() };
    let grant = xet.token(REPO, None).await;
    for version in [1, 2] {
        for range in ["bytes=1-", "bytes=9000000-9000009", "bytes=-5"] {
            for peer in [&xet, &neighbour] {
                let reply = peer.ask_recipe(&grant, version, &before.file, Some(range)).await;
                assert_eq!(reply.status, 401, "{range}: {:?}", reply.error());
            }
        }
    }
    let all = xet.get(&grant, 2, &before.file, 0..SIZE).await;
    assert!(all == big().read_all());
    assert_eq!(xet.ask_recipe(&grant, 2, &before.file, Some("bytes=9000000-")).await.status, 200);
    hub.landed().await;
    // What one peer did is nothing about the other, though the right bytes are here.
    let theirs = neighbour.token(REPO, None).await;
    assert_eq!(neighbour.ask_recipe(&theirs, 2, &before.file, Some("bytes=9000000-")).await.status, 401);
    assert!(neighbour.get(&theirs, 2, &before.file, 0..100).await == big().read_range(0, 100));
    assert!(neighbour.get(&theirs, 2, &before.file, XORB..XORB + 9).await == big().read_range(XORB, 9));
    hub.finish().await;
}

#[tokio::test]
async fn after_a_week_it_is_forgotten() {
    let (hub, xet, before) = tainted().await;
    hub.clock.advance(Duration::from_secs(7 * 24 * 3600));
    let grant = xet.token(REPO, None).await;
    assert!(xet.get(&grant, 2, &before.file, XORB..XORB + 9).await == big().read_range(XORB, 9));
    hub.finish().await;
}

#[tokio::test]
async fn while_upstream_stays_wrong_nothing_unproven_is_sent_by_xet() {
    let (hub, xet, before) = tainted().await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(XORB + 5)));
    // The second wrong body, to plain HTTP or Xet alike.
    let second = hub.get(PATH).await;
    assert!(second.broken.is_some() || second.status == 502);
    hub.landed().await;
    hub.clock.advance(Duration::from_secs(1));
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &before.file, None).await;
    for term in &recipe.terms {
        let reply = xet.ask_xorb(&term.url, Some(&term.range())).await;
        assert!(reply.status >= 500 && reply.broken.is_none(), "a clean refusal: {} {:?}", reply.status, reply.broken);
        hub.landed().await;
    }
    hub.clock.advance(Duration::from_secs(1));
    hub.mock.clear_faults();
    let grant = xet.token(REPO, None).await;
    assert!(xet.get(&grant, 2, &before.file, 0..SIZE).await == big().read_all());
    hub.finish().await;
}

#[tokio::test]
async fn a_small_wrong_file_is_refused_before_its_first_byte() {
    let content = Content::random(4, 300_000);
    let hub =
        TestHub::builder().manual_clock().repo(Repo::model("org/big").lfs("small.bin", content.clone())).start().await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(5)));
    let (xet, file) = (Xet::from(&hub), offered(&hub, "/org/big/resolve/main/small.bin").await);
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    let reply = xet.ask_xorb(&recipe.terms[0].url, Some(&recipe.terms[0].range())).await;
    assert!(reply.status >= 500 && reply.broken.is_none(), "{} {:?}", reply.status, reply.error());
    hub.landed().await;
    hub.mock.clear_faults();
    hub.clock.advance(Duration::from_secs(1));
    // Nobody has seen a byte: the token is as good as it was.
    assert!(xet.get(&grant, 2, &file, 0..300_000).await == content.read_all());
    hub.finish().await;
}

/// A client has all of a wrong body but its last xorb, which is held back as a whole; the download
/// ended there, and upstream is right again.
async fn left_in_the_middle() -> (TestHub, Xet, Before) {
    let hub = TestHub::builder()
        .manual_clock()
        .set("flight.segment_size", "256KiB")
        .set("flight.verify_first", "64KiB")
        .set("flight.hold_back", "1MiB")
        .repo(repo())
        .start()
        .await;
    hub.mock.fault(Rule::on_cdn("").fault(Fault::FlipByte(XORB + 5)));
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &file, Some("bytes=1-")).await;
    let seen = [xet.term(&recipe.terms[0]).await, xet.term(&recipe.terms[1]).await].concat();
    assert!(seen != big().read_range(0, 2 * XORB), "the wrong byte went out");
    hub.landed().await;
    hub.clock.advance(Duration::from_secs(1));
    hub.mock.clear_faults();
    (hub, xet, Before { grant, recipe, file })
}

async fn assert_no_right_end(hub: TestHub, before: &Before) {
    let xet = Xet::from(&hub);
    let base = before.grant.cas.trim_end_matches("/xet");
    let last = before.recipe.terms.last().unwrap();
    let reply = xet.ask_xorb(&last.url.replace(base, &xet.base), Some(&last.range())).await;
    assert!(reply.broken.is_some() || reply.status >= 400, "a wrong beginning got a right end: {}", reply.status);
    hub.finish().await;
}

#[tokio::test]

async fn a_wrong_beginning_of_an_earlier_flight_gets_no_right_end() {
    let (hub, _, before) = left_in_the_middle().await;
    assert_no_right_end(hub, &before).await;
}

#[tokio::test]

async fn a_wrong_beginning_of_before_a_restart_gets_no_right_end() {
    let (hub, _, before) = left_in_the_middle().await;
    assert_no_right_end(hub.restart().await, &before).await;
}
