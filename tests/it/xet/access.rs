//! Who may have what by Xet: tokens, tickets, and the rights behind them.

use std::time::Duration;

use mock_hf::{Content, Options, Origin, Repo, TOKEN_ALICE, TOKEN_BOB, TOKEN_REVOKED};

use super::client::{Grant, Xet};
use super::{REPO, SIZE, big, offered, repo};
use crate::harness::{Reply, TestHub};

const PRIVATE: &str = "models/org/private";
const GATED: &str = "models/org/gated";

fn private() -> Repo {
    Repo::model("org/private").lfs("big.bin", big()).private().reader(TOKEN_ALICE)
}

fn gated() -> Repo {
    Repo::model("org/gated").lfs("big.bin", big()).gated("manual").reader(TOKEN_ALICE)
}

async fn offered_to_alice(hub: &TestHub, id: &str) -> String {
    let reply = hub.head_as(TOKEN_ALICE, &format!("/{id}/resolve/main/big.bin")).await;
    reply.header("x-xet-hash").to_owned()
}

fn with_token(grant: &Grant, token: impl Into<String>) -> Grant {
    Grant { token: token.into(), ..grant.clone() }
}

fn replace_at(text: &str, at: usize) -> String {
    let other = if text.as_bytes()[at] == b'A' { "B" } else { "A" };
    format!("{}{other}{}", &text[..at], &text[at + 1..])
}

#[tokio::test]
async fn no_token_of_this_hub_no_reconstruction() {
    let other = TestHub::builder().repo(repo()).start().await;
    let hub = TestHub::builder().repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, super::PATH).await);
    assert_eq!(offered(&other, super::PATH).await, file, "both name upstream's hash");
    let grant = xet.token(REPO, None).await;
    let foreign = Xet::from(&other).token(REPO, None).await;
    let ticket =
        xet.recipe(&grant, 2, &file, Some("bytes=1-")).await.terms[0].url.split_once("ticket=").unwrap().1.to_owned();
    for token in [
        "garbage".to_owned(),
        "====".into(),
        foreign.token,
        TOKEN_ALICE.into(),
        ticket,
        replace_at(&grant.token, 0),
        replace_at(&grant.token, grant.token.len() / 2),
        format!("{}A", grant.token),
        grant.token[..grant.token.len() - 1].to_owned(),
    ] {
        for version in [1, 2] {
            let reply = xet.ask_recipe(&with_token(&grant, token.as_str()), version, &file, None).await;
            assert_eq!(reply.status, 401, "{token}");
            assert!(reply.header("x-error-message").contains("xet-read-token"), "{:?}", reply.error());
        }
    }
    for headers in [vec![], vec![("authorization", "Bearer")], vec![("authorization", "Basic dXNlcjpwYXNz")]] {
        let reply = hub.client.call("GET", &format!("{}/v2/reconstructions/{file}", grant.cas), &headers, "").await;
        assert_eq!(reply.status, 401, "{headers:?}");
    }
    other.finish().await;
    hub.finish().await;
}

#[tokio::test]
async fn a_token_ends_when_it_says_and_a_new_one_is_to_be_had() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, super::PATH).await);
    let grant = xet.token(REPO, None).await;
    let lifetime = grant.expires - hub.clock.now() / 1000;
    assert!((60..=3600).contains(&lifetime), "{lifetime} s");
    hub.clock.advance(Duration::from_secs(lifetime as u64 - 1));
    assert_eq!(xet.ask_recipe(&grant, 2, &file, None).await.status, 200);
    hub.clock.advance(Duration::from_secs(1));
    let late = xet.ask_recipe(&grant, 2, &file, None).await;
    assert_eq!(late.status, 401);
    assert!(late.header("x-error-message").contains("expired"), "{:?}", late.error());
    let again = xet.token(REPO, None).await;
    assert_eq!(again.expires, grant.expires + lifetime);
    assert_eq!(xet.ask_recipe(&again, 2, &file, None).await.status, 200);
    hub.finish().await;
}

#[tokio::test]
async fn a_token_is_for_the_content_of_its_repository() {
    let other = Content::random(5, 200_000);
    let hub = TestHub::builder()
        .repo(repo())
        .repo(Repo::model("org/other").lfs("other.bin", other.clone()))
        .repo(Repo::dataset("org/big").lfs("other.bin", other.clone()))
        .start()
        .await;
    let xet = Xet::from(&hub);
    let ours = offered(&hub, super::PATH).await;
    let theirs = offered(&hub, "/org/other/resolve/main/other.bin").await;
    let grant = xet.token(REPO, None).await;
    for file in [theirs.as_str(), &"0".repeat(64), &"f".repeat(64)] {
        for version in [1, 2] {
            let reply = xet.ask_recipe(&grant, version, file, None).await;
            assert_eq!((reply.status, reply.header("x-error-code")), (404, "EntryNotFound"), "{file}");
        }
    }
    // A dataset of the same id is another repository.
    let dataset = xet.token("datasets/org/big", None).await;
    assert_eq!(xet.ask_recipe(&dataset, 2, &ours, None).await.status, 404);
    assert!(xet.get(&dataset, 2, &theirs, 0..200_000).await == other.read_all());
    // And what does not look like a hash is none.
    for file in ["", "abc", &"A".repeat(64), &"*".repeat(64), &"0".repeat(65)] {
        let reply = xet.ask_recipe(&grant, 2, file, None).await;
        assert!(matches!(reply.status, 400 | 401 | 404), "{file}: {:?}", reply.error());
    }
    hub.finish().await;
}

#[tokio::test]
async fn tokens_are_for_those_who_may_have_the_bytes() {
    let hub = TestHub::builder().repo(private()).repo(gated()).start().await;
    let xet = Xet::from(&hub);
    // Cold, and after Alice has warmed everything.
    for round in ["cold", "warm"] {
        for (repo, token, expected) in [
            (PRIVATE, None, (401, "RepoNotFound")),
            (PRIVATE, Some(TOKEN_BOB), (404, "RepoNotFound")),
            (PRIVATE, Some(TOKEN_REVOKED), (401, "")),
            (GATED, None, (401, "GatedRepo")),
            (GATED, Some(TOKEN_BOB), (403, "GatedRepo")),
            (GATED, Some(TOKEN_REVOKED), (401, "")),
            ("models/org/nothing", None, (401, "RepoNotFound")),
            ("models/org/nothing", Some(TOKEN_ALICE), (404, "RepoNotFound")),
        ] {
            let reply = xet.ask_token(repo, "main", token).await;
            assert_eq!((reply.status, reply.header("x-error-code")), expected, "{round} {repo} {token:?}");
            assert!(reply.header("x-xet-access-token").is_empty() && !reply.text().contains("accessToken"));
        }
        for (id, repo) in [("org/private", PRIVATE), ("org/gated", GATED)] {
            let file = offered_to_alice(&hub, id).await;
            let grant = xet.token(repo, Some(TOKEN_ALICE)).await;
            assert!(xet.get(&grant, 2, &file, 0..SIZE).await == big().read_all(), "{round} {repo}");
            assert_eq!(xet.ask_token(repo, "absent", Some(TOKEN_ALICE)).await.status, 404);
        }
        hub.landed().await;
    }
    let bearer = format!("Bearer {TOKEN_ALICE}");
    let mine =
        hub.mock.requests().into_iter().filter(|line| line.origin == Origin::Hub && line.path.contains("big.bin"));
    assert!(mine.count() > 0 && hub.mock.requests().iter().any(|line| line.authorization.as_deref() == Some(&bearer)));
    hub.finish().await;
}

#[tokio::test]
async fn a_private_file_by_xet_is_fetched_with_its_callers_token() {
    let hub = TestHub::builder().repo(private()).start().await;
    let (xet, file) = (Xet::from(&hub), offered_to_alice(&hub, "org/private").await);
    let grant = xet.token(PRIVATE, Some(TOKEN_ALICE)).await;
    hub.mock.clear_log();
    assert!(xet.get(&grant, 2, &file, 0..SIZE).await == big().read_all());
    hub.landed().await;
    let bearer = format!("Bearer {TOKEN_ALICE}");
    let seen = hub.mock.requests();
    let at_hub: Vec<_> = seen.iter().filter(|line| line.origin == Origin::Hub).collect();
    assert!(!at_hub.is_empty() && at_hub.iter().all(|line| line.authorization.as_deref() == Some(&bearer)));
    assert!(seen.iter().filter(|line| line.origin == Origin::Cdn).all(|line| line.authorization.is_none()));
    // Nothing that was handed out shows it.
    assert!(!grant.token.contains(TOKEN_ALICE));
    hub.finish().await;
}

#[tokio::test]
async fn access_that_upstream_takes_away_ends_within_a_minute_for_all_that_was_handed_out() {
    let hub = TestHub::builder().manual_clock().repo(private()).repo(gated()).start().await;
    let xet = Xet::from(&hub);
    for (id, repo, is_private, gate) in
        [("org/private", PRIVATE, true, None), ("org/gated", GATED, false, Some("manual"))]
    {
        let file = offered_to_alice(&hub, id).await;
        let grant = xet.token(repo, Some(TOKEN_ALICE)).await;
        let recipe = xet.recipe(&grant, 2, &file, None).await;
        assert!(xet.assemble(&recipe, SIZE).await == big().read_all());
        hub.landed().await;
        hub.mock.set_visibility("model", id, is_private, gate, vec![TOKEN_BOB.to_owned()]);
        hub.clock.advance(Duration::from_secs(61));
        let denied = |reply: &Reply| matches!(reply.status, 401 | 403 | 404) && reply.body.len() < 1000;
        let again = xet.ask_recipe(&grant, 2, &file, None).await;
        assert!(denied(&again) && !again.text().contains("terms"), "{repo} {:?}", again.error());
        for term in &recipe.terms {
            assert!(denied(&xet.ask_xorb(&term.url, None).await), "{repo}");
        }
        assert!(denied(&xet.ask_token(repo, "main", Some(TOKEN_ALICE)).await), "{repo}");
        // And is there for whom upstream accepts now.
        let theirs = xet.token(repo, Some(TOKEN_BOB)).await;
        assert!(xet.get(&theirs, 2, &file, 0..100).await == big().read_range(0, 100));
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_repository_that_turns_private_is_closed_to_tokens_of_before() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, super::PATH).await);
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    assert!(xet.assemble(&recipe, SIZE).await == big().read_all());
    hub.landed().await;
    hub.mock.set_visibility("model", "org/big", true, None, vec![TOKEN_ALICE.to_owned()]);
    hub.clock.advance(Duration::from_secs(61));
    // The hub hears of it with the next look at the branch.
    assert_eq!(hub.head(super::PATH).await.status, 401);
    assert!(matches!(xet.ask_recipe(&grant, 2, &file, None).await.status, 401 | 404));
    for term in &recipe.terms {
        assert!(matches!(xet.ask_xorb(&term.url, None).await.status, 401 | 403 | 404));
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_masked_listing_offers_nothing() {
    let stars = "*".repeat(64);
    for mask_lfs_oid in [false, true] {
        let options = Options { mask_lfs_oid, ..Options::default() };
        let hub = TestHub::builder().options(options).repo(gated()).start().await;
        let file = offered_to_alice(&hub, "org/gated").await;
        let api = "/api/models/org/gated";
        for token in [None, Some(TOKEN_BOB)] {
            for path in [
                format!("{api}/tree/main"),
                format!("{api}/tree/main?recursive=true&expand=true"),
                format!("{api}?blobs=true"),
                format!("{api}?expand=siblings"),
            ] {
                let reply = match token {
                    Some(token) => hub.get_as(token, &path).await,
                    None => hub.get(&path).await,
                };
                let text = reply.text();
                assert!(reply.status == 200 && !text.contains("xetHash") && !text.contains(&file), "{path} {text}");
                assert!(mask_lfs_oid || !text.contains(&stars), "{path} {text}");
            }
            let head = match token {
                Some(token) => hub.head_as(token, "/org/gated/resolve/main/big.bin").await,
                None => hub.head("/org/gated/resolve/main/big.bin").await,
            };
            assert!(matches!(head.status, 401 | 403) && !head.everything().contains("xet"), "{}", head.everything());
        }
        let form = "paths=big.bin";
        let info = hub.post(&format!("{api}/paths-info/main"), "application/x-www-form-urlencoded", form).await;
        assert!(info.status == 200 && !info.text().contains("xetHash"), "{}", info.text());
        let tree = hub.get_as(TOKEN_ALICE, &format!("{api}/tree/main")).await.json();
        assert_eq!(tree[0]["xetHash"], file.as_str(), "{tree}");
        hub.finish().await;
    }
}

#[tokio::test]
async fn an_address_opens_what_it_was_made_for_as_long_as_it_was_made_for() {
    let hub = TestHub::builder().manual_clock().repo(repo()).start().await;
    let (xet, file) = (Xet::from(&hub), offered(&hub, super::PATH).await);
    let grant = xet.token(REPO, None).await;
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    assert!(xet.assemble(&recipe, SIZE).await == big().read_all());
    hub.landed().await;
    let status = async |url: &str| xet.ask_xorb(url, None).await.status;
    let url = recipe.terms[0].url.as_str();
    let (path, ticket) = url.split_once("?ticket=").unwrap();
    for at in [0, 1, ticket.len() / 3, ticket.len() / 2, ticket.len() - 2] {
        assert_eq!(status(&format!("{path}?ticket={}", replace_at(ticket, at))).await, 403, "changed at {at}");
    }
    for query in ["", "?ticket=", "?ticket=x", &format!("?ticket={}", grant.token), &format!("?ticket={ticket}A")] {
        assert_eq!(status(&format!("{path}{query}")).await, 403, "{query}");
    }
    // The name of another xorb, or of none.
    let other = recipe.terms[1].url.split_once('?').unwrap().0;
    assert_eq!(status(&format!("{other}?ticket={ticket}")).await, 404);
    let nothing = path.replace(&recipe.terms[0].xorb, &"0".repeat(64));
    assert_eq!(status(&format!("{nothing}?ticket={ticket}")).await, 404);
    // It outlives the token, and ends an hour after it was made.
    hub.clock.advance(Duration::from_secs(3599));
    assert_eq!(xet.ask_recipe(&grant, 2, &file, None).await.status, 401);
    assert_eq!(status(url).await, 200);
    hub.clock.advance(Duration::from_secs(1));
    let late = xet.ask_xorb(url, None).await;
    assert_eq!(late.status, 403);
    assert!(late.header("x-error-message").contains("expired"), "{:?}", late.error());
    hub.finish().await;
}

#[tokio::test]
async fn no_callers_token_is_in_what_is_handed_out_or_kept() {
    use base64::Engine as _;
    let hub = TestHub::builder().repo(private()).start().await;
    let (xet, file) = (Xet::from(&hub), offered_to_alice(&hub, "org/private").await);
    let grant = xet.token(PRIVATE, Some(TOKEN_ALICE)).await;
    let recipe = xet.recipe(&grant, 2, &file, None).await;
    assert!(xet.assemble(&recipe, SIZE).await == big().read_all());
    let base64 = base64::engine::general_purpose::URL_SAFE_NO_PAD;
    let ticket = recipe.terms[0].url.split_once("ticket=").unwrap().1;
    for sealed in [grant.token.as_str(), ticket] {
        let bytes = base64.decode(sealed).unwrap();
        for secret in [TOKEN_ALICE, "org/private", "big.bin"] {
            assert!(!bytes.windows(secret.len()).any(|window| window == secret.as_bytes()), "{secret} can be read");
        }
    }
    let dir = hub.data_dir().to_owned();
    let hub = hub.restart().await;
    for name in ["modelhub.db", "modelhub.db-wal"] {
        let Ok(bytes) = std::fs::read(dir.join(name)) else { continue };
        assert!(!bytes.windows(TOKEN_ALICE.len()).any(|window| window == TOKEN_ALICE.as_bytes()), "a token in {name}");
    }
    hub.finish().await;
}
