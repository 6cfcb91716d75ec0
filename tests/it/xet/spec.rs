//! Spec check: reconstructions and xorbs against the public Xet specification, for files of all
//! sizes that mean something, whole and in parts. What holds of any answer is in `client`.

use std::collections::HashSet;
use std::ops::Range;

use mock_hf::{Content, Repo};

use super::client::{CHUNK, Grant, Recipe, Xet, is_hash};
use super::{PATH, REPO, SIZE, TREE, XORB, big, offered, repo};
use crate::harness::TestHub;
use crate::harness::repos::MIB;

/// Around the edges of a chunk and of a xorb, and beyond.
const SIZES: [u64; 10] = [1, 8, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 77, XORB - 1, XORB, XORB + 1, 20 * MIB];

fn name(size: u64) -> String {
    format!("{size}.bin")
}

async fn hub_with_all_sizes() -> TestHub {
    let repo =
        SIZES.iter().fold(Repo::model("org/big"), |repo, size| repo.lfs(name(*size), Content::random(*size, *size)));
    TestHub::builder().repo(repo).start().await
}

/// A recipe covers the range that was asked for, and less than a chunk more at either end.
fn assert_covers(recipe: &Recipe, asked: &Range<u64>) {
    let first = recipe.terms.first().expect("a term");
    assert!(recipe.offset < first.unpacked && recipe.offset < CHUNK, "{recipe:?}");
    let wanted = asked.end - asked.start;
    let given = recipe.unpacked() - recipe.offset;
    assert!((wanted..wanted + CHUNK).contains(&given), "{given} bytes for {asked:?}");
}

async fn check(xet: &Xet, grant: &Grant, file: &str, content: &Content, range: &str, asked: Range<u64>) {
    let mut terms = Vec::new();
    for version in [1, 2] {
        let recipe = xet.recipe(grant, version, file, Some(range)).await;
        assert_covers(&recipe, &asked);
        let bytes = xet.assemble(&recipe, asked.end - asked.start).await;
        assert!(bytes == content.read_range(asked.start, asked.end - asked.start), "v{version} {range}: wrong bytes");
        terms.push(recipe.terms.into_iter().map(|term| (term.xorb, term.unpacked, term.chunks, term.bytes)));
    }
    assert!(terms.remove(0).eq(terms.remove(0)), "{range}: the two forms say the same");
}

#[tokio::test]
async fn spec_check_files_of_all_sizes_are_put_together_from_both_forms() {
    let hub = hub_with_all_sizes().await;
    let xet = Xet::from(&hub);
    let grant = xet.token(REPO, None).await;
    let mut names = HashSet::new();
    // Cold, then stored.
    for round in 0..2 {
        for size in SIZES {
            let content = Content::random(size, size);
            let file = offered(&hub, &format!("/org/big/resolve/main/{}", name(size))).await;
            assert!(is_hash(&file), "{file}");
            check(&xet, &grant, &file, &content, &format!("bytes=0-{}", size - 1), 0..size).await;
            // hf_xet asks without a range too.
            let whole = xet.recipe(&grant, 2, &file, None).await;
            assert_eq!((whole.offset, whole.unpacked()), (0, size), "round {round}");
            assert_eq!(whole.terms.len() as u64, size.div_ceil(XORB));
            if round == 0 {
                assert!(whole.xorbs().into_iter().all(|xorb| names.insert(xorb)), "two contents share a xorb's name");
            } else {
                assert!(whole.xorbs().iter().all(|xorb| names.contains(xorb)), "a xorb has got another name");
            }
        }
        hub.landed().await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn spec_check_ranges_begin_and_end_anywhere() {
    let hub = TestHub::builder().repo(repo()).start().await;
    let xet = Xet::from(&hub);
    let file = offered(&hub, PATH).await;
    let grant = xet.token(REPO, None).await;
    let (chunk, end) = (CHUNK, SIZE);
    for (range, asked) in [
        ("bytes=0-0".to_owned(), 0..1),
        (format!("bytes={}-{}", chunk - 1, chunk - 1), chunk - 1..chunk),
        (format!("bytes={chunk}-{chunk}"), chunk..chunk + 1),
        (format!("bytes={}-{}", 3 * chunk + 5, 5 * chunk + 6), 3 * chunk + 5..5 * chunk + 7),
        (format!("bytes={}-{}", 3 * chunk, 4 * chunk - 1), 3 * chunk..4 * chunk),
        // Over the edge of a xorb, to its end, and from its beginning.
        (format!("bytes={}-{}", XORB - 1, XORB), XORB - 1..XORB + 1),
        (format!("bytes={}-{}", XORB - 7, XORB - 1), XORB - 7..XORB),
        (format!("bytes={XORB}-{}", XORB + 9), XORB..XORB + 10),
        // Over a whole xorb and parts of its neighbours.
        (format!("bytes={}-{}", XORB - chunk - 1, 2 * XORB + chunk), XORB - chunk - 1..2 * XORB + chunk + 1),
        // The last byte, past the end, and the ways to write an end that is not said.
        (format!("bytes={}-{}", end - 1, end - 1), end - 1..end),
        (format!("bytes={}-{}", end - 10, end + 1000), end - 10..end),
        (format!("bytes=5-{}", u64::MAX), 5..end),
        (format!("bytes={}-", end - chunk), end - chunk..end),
        ("bytes=-17".to_owned(), end - 17..end),
    ] {
        check(&xet, &grant, &file, &big(), &range, asked).await;
    }
    for range in [format!("bytes={end}-"), format!("bytes={end}-{end}"), format!("bytes={}-{}", end + 5, end + 9)] {
        for version in [1, 2] {
            let reply = xet.ask_recipe(&grant, version, &file, Some(&range)).await;
            assert_eq!(reply.status, 416, "{range}: hf_xet takes it for the end");
        }
    }
    hub.finish().await;
}

#[tokio::test]
async fn spec_check_an_empty_file_is_not_offered_and_has_an_empty_reconstruction() {
    let hub = TestHub::builder().repo(Repo::model("org/big").lfs("empty.bin", "")).start().await;
    let xet = Xet::from(&hub);
    assert_eq!(offered(&hub, "/org/big/resolve/main/empty.bin").await, "");
    assert!(!hub.get(TREE).await.text().contains("xetHash"));
    // A client may have its hash from an older listing.
    let tree = hub.client.call("GET", &format!("{}{TREE}", hub.mock.url()), &[], "").await.json();
    let file = tree[0]["xetHash"].as_str().unwrap();
    let grant = xet.token(REPO, None).await;
    for version in [1, 2] {
        let recipe = xet.recipe(&grant, version, file, None).await;
        assert_eq!((recipe.offset, recipe.terms.len()), (0, 0));
        assert_eq!(xet.ask_recipe(&grant, version, file, Some("bytes=0-0")).await.status, 416);
    }
    hub.finish().await;
}

#[tokio::test]
async fn spec_check_files_of_a_repository_share_no_names_and_a_content_has_the_same_everywhere() {
    let other = Content::random(22, SIZE);
    let hub = TestHub::builder()
        .repo(repo().lfs("other.bin", other).lfs("copy.bin", big()))
        .repo(Repo::dataset("org/copies").lfs("sub/big.bin", big()))
        .start()
        .await;
    let xet = Xet::from(&hub);
    let mut xorbs = Vec::new();
    for (repo, path) in [
        (REPO, PATH),
        (REPO, "/org/big/resolve/main/copy.bin"),
        ("datasets/org/copies", "/datasets/org/copies/resolve/main/sub/big.bin"),
        (REPO, "/org/big/resolve/main/other.bin"),
    ] {
        let file = offered(&hub, path).await;
        let grant = xet.token(repo, None).await;
        xorbs.push(xet.recipe(&grant, 2, &file, Some("bytes=1-")).await.xorbs());
    }
    assert_eq!(xorbs[0], xorbs[1]);
    assert_eq!(xorbs[0], xorbs[2]);
    assert!(xorbs[3].iter().all(|xorb| !xorbs[0].contains(xorb)));
    assert_eq!(hub.mock.stats().cdn_calls, 0, "a recipe that begins later starts no download");
    hub.finish().await;
}

#[tokio::test]
async fn spec_check_the_size_of_a_file_is_asked_with_head() {
    let hub = TestHub::builder().repo(repo()).start().await;
    let xet = Xet::from(&hub);
    let file = offered(&hub, PATH).await;
    let grant = xet.token(REPO, None).await;
    let bearer = format!("Bearer {}", grant.token);
    let url = format!("{}/v1/files/{file}", grant.cas);
    let reply = hub.client.call("HEAD", &url, &[("authorization", &bearer)], "").await;
    assert_eq!((reply.status, reply.header("content-length")), (200, SIZE.to_string().as_str()));
    assert_eq!(hub.client.call("HEAD", &url, &[], "").await.status, 401);
    let absent = format!("{}/v1/files/{}", grant.cas, "0".repeat(64));
    assert_eq!(hub.client.call("HEAD", &absent, &[("authorization", &bearer)], "").await.status, 404);
    hub.finish().await;
}
