//! Xorb URLs as HTTP: HEAD, one range, several, and those that are refused.

use super::client::{CHUNK, Recipe, Term, Xet, assert_part, parts, unpack};
use super::{PATH, REPO, SIZE, XORB, big, offered, repo};
use crate::harness::TestHub;

const STRIDE: u64 = CHUNK + 8;

/// A hub that has the file, and its whole recipe.
async fn stored() -> (TestHub, Xet, Recipe) {
    let hub = TestHub::builder().repo(repo()).start().await;
    hub.get(PATH).await.assert_is(200, &big().read_all());
    hub.landed().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    (hub, xet, recipe)
}

fn ask(from: u64, to: u64) -> String {
    format!("bytes={from}-{}", to - 1)
}

#[tokio::test]
async fn one_range_anywhere_is_exactly_that_part_of_the_whole() {
    let (hub, xet, recipe) = stored().await;
    for (number, term) in recipe.terms.iter().enumerate() {
        let whole = xet.ask_xorb(&term.url, None).await;
        assert_eq!((whole.status, &whole.broken, whole.header("content-range")), (200, &None, ""));
        assert_eq!(whole.header("content-length"), term.bytes.end.to_string());
        assert_eq!(whole.header("accept-ranges"), "bytes");
        let start = number as u64 * XORB;
        assert!(term.unpack(&whole.body) == big().read_range(start, XORB.min(SIZE - start)), "xorb {number}");
        let end = term.bytes.end;
        for (from, to) in [
            (0, end),
            (0, 1),
            (3, 8),
            (7, 9),
            (8, 9),
            (STRIDE - 1, STRIDE),
            (STRIDE, STRIDE + 8),
            (STRIDE - 3, 2 * STRIDE + 11),
            (end - 1, end),
            (end - 20, end),
        ] {
            let reply = xet.ask_xorb(&term.url, Some(&ask(from, to))).await;
            assert_part(&reply, &(from..to));
            assert!(reply.body == whole.body[from as usize..to as usize], "xorb {number}, bytes {from}..{to}");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn head_of_a_xorb_says_what_get_sends() {
    let (hub, xet, recipe) = stored().await;
    let term = &recipe.terms[2];
    let head = |headers: Vec<(&'static str, String)>| {
        let (http, url) = (xet.http.clone(), term.url.clone());
        async move {
            let headers: Vec<_> = headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
            http.call("HEAD", &url, &headers, "").await
        }
    };
    let whole = head(vec![]).await;
    assert_eq!((whole.status, whole.body.len()), (200, 0));
    assert_eq!(whole.header("content-length"), term.bytes.end.to_string());
    let part = head(vec![("range", "bytes=10-99".into())]).await;
    assert_eq!(
        (part.status, part.header("content-length"), part.header("content-range")),
        (206, "90", "bytes 10-99/*")
    );
    hub.finish().await;
}

#[tokio::test]
async fn several_ranges_come_as_parts_in_the_order_of_the_request() {
    let (hub, xet, recipe) = stored().await;
    let term = &recipe.terms[1];
    let whole = xet.ask_xorb(&term.url, None).await.body;
    let chunks = |chunks: std::ops::Range<u64>| (chunks.start * STRIDE, chunks.end * STRIDE);
    for ranges in [
        vec![chunks(0..1), chunks(2..5)],
        vec![chunks(1..2), chunks(2..3), chunks(63..64)],
        vec![(0, 4), (4, 8), (8, 9), (STRIDE - 1, STRIDE + 1), (term.bytes.end - 1, term.bytes.end)],
        (0..32).map(|n| (n * STRIDE, n * STRIDE + 9)).collect(),
    ] {
        let list: Vec<_> = ranges.iter().map(|(from, to)| format!("{from}-{}", to - 1)).collect();
        for separator in [",", ", "] {
            let asked = format!("bytes={}", list.join(separator));
            let reply = xet.ask_xorb(&term.url, Some(&asked)).await;
            assert_eq!(reply.header("content-length"), reply.body.len().to_string(), "{asked}");
            assert_eq!(reply.header("content-range"), "", "each part has its own");
            let parts = parts(&reply);
            assert_eq!(parts.len(), ranges.len());
            for ((said, bytes), (from, to)) in parts.iter().zip(&ranges) {
                assert_eq!(*said, format!("bytes {from}-{}/*", to - 1));
                assert!(bytes == &whole[*from as usize..*to as usize], "{asked}: {said}");
            }
        }
    }
    // As huggingface.js uses it: whole chunks, each part unpacked by itself.
    let reply =
        xet.ask_xorb(&term.url, Some(&format!("bytes=0-{},{}-{}", STRIDE - 1, 7 * STRIDE, 9 * STRIDE - 1))).await;
    let bytes: Vec<u8> = parts(&reply).iter().flat_map(|(_, bytes)| unpack(bytes)).flatten().collect();
    let expected = [big().read_range(XORB, CHUNK), big().read_range(XORB + 7 * CHUNK, 2 * CHUNK)].concat();
    assert!(bytes == expected);
    hub.finish().await;
}

#[tokio::test]
async fn several_ranges_of_an_arriving_file_come_as_parts_too() {
    let hub = TestHub::builder().small_segments().options(super::slow()).repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, PATH).await);
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    let asked = format!("bytes=0-{},{}-{}", STRIDE - 1, 30 * STRIDE, 31 * STRIDE - 1);
    let reply = xet.ask_xorb(&recipe.terms[1].url, Some(&asked)).await;
    assert!(hub.flights() == 1 && ["join", "miss"].contains(&reply.served()), "{}", reply.served());
    let bytes: Vec<u8> = parts(&reply).iter().flat_map(|(_, bytes)| unpack(bytes)).flatten().collect();
    assert!(bytes == [big().read_range(XORB, CHUNK), big().read_range(XORB + 30 * CHUNK, CHUNK)].concat());
    hub.finish().await;
}

#[tokio::test]
async fn ranges_that_no_client_needs_are_refused() {
    let (hub, xet, recipe) = stored().await;
    let term = &recipe.terms[0];
    let many: Vec<_> = (0..33).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect();
    for range in [
        format!("bytes={}", many.join(",")),
        "bytes=100-200,0-50".into(),
        "bytes=0-100,100-200".into(),
        "bytes=9-1".into(),
    ] {
        let reply = xet.ask_xorb(&term.url, Some(&range)).await;
        assert_eq!(reply.status, 400, "{range}");
        assert!(reply.header("x-error-message").contains("range"), "{:?}", reply.error());
    }
    // The ticket is the right to these bytes and to no others.
    for range in [
        format!("bytes={}-{}", term.bytes.end, term.bytes.end),
        format!("bytes=0-{}", term.bytes.end),
        format!("bytes=0-5,10-{}", term.bytes.end),
        format!("bytes=0-{}", u64::MAX),
    ] {
        assert_eq!(xet.ask_xorb(&term.url, Some(&range)).await.status, 403, "{range}");
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_ticket_for_some_chunks_opens_these_only() {
    let (hub, xet, _) = stored().await;
    let file = offered(&hub, PATH).await;
    let grant = xet.token(REPO, None).await;
    let asked = format!("bytes={}-{}", 3 * CHUNK + 1, 5 * CHUNK - 1);
    let recipe = xet.recipe(&grant, 2, &file, Some(&asked)).await;
    let [term] = &recipe.terms[..] else { panic!("one term: {recipe:?}") };
    assert_eq!((&term.chunks, recipe.offset), (&(3..5), 1));
    let whole = xet.ask_xorb(&term.url, None).await;
    assert!(term.unpack(&whole.body) == big().read_range(3 * CHUNK, 2 * CHUNK));
    let Term { bytes, .. } = term;
    for (from, to) in [(0, 10), (bytes.start - 1, bytes.end), (bytes.start, bytes.end + 1), (bytes.end, bytes.end + 1)]
    {
        assert_eq!(xet.ask_xorb(&term.url, Some(&ask(from, to))).await.status, 403, "{from}..{to}");
    }
    hub.finish().await;
}
