//! Ranges, of files that are here and of files that are still arriving.

use mock_hf::{Content, Repo};

use crate::harness::TestHub;
use crate::harness::repos::{MIB, model, quoted};

const SIZE: u64 = 9 * MIB + 123;
const PATH: &str = "/org/big/resolve/main/big.bin";

fn big() -> Content {
    Content::random(9, SIZE)
}

fn repo() -> Repo {
    Repo::model("org/big").lfs("big.bin", big())
}

/// What is asked, and the half-open range that answers it; `None` is 200 with everything.
fn table() -> Vec<(String, Option<(u64, u64)>)> {
    let asked = |text: &str| text.to_owned();
    vec![
        (asked("bytes=0-0"), Some((0, 1))),
        (asked("bytes=0-"), Some((0, SIZE))),
        (asked("bytes=1000-1999"), Some((1000, 2000))),
        (format!("bytes={}-{}", MIB - 5, MIB + 5), Some((MIB - 5, MIB + 6))),
        (format!("bytes={}-", SIZE - 7), Some((SIZE - 7, SIZE))),
        (asked("bytes=-10"), Some((SIZE - 10, SIZE))),
        // Clients ask past the end: clamped, never 416.
        (format!("bytes={}-{}", SIZE - 1, SIZE), Some((SIZE - 1, SIZE))),
        (format!("bytes=0-{SIZE}"), Some((0, SIZE))),
        (format!("bytes=5-{}", u64::MAX), Some((5, SIZE))),
        (asked("bytes=5-99999999999999999999999999"), Some((5, SIZE))),
        (format!("bytes=-{}", SIZE + 1), Some((0, SIZE))),
        // Ignored: malformed, another unit, several ranges.
        (asked("bytes=5-1"), None),
        (asked("bytes=a-b"), None),
        (asked("bytes=--1"), None),
        (asked("bytes="), None),
        (asked("bytes=-"), None),
        (asked("lines=0-1"), None),
        (asked("bytes=0-0,5-9"), None),
    ]
}

async fn assert_range(hub: &TestHub, path: &str, content: &Content, asked: &str, expected: Option<(u64, u64)>) {
    let reply = hub.get_with(path, &[("range", asked)]).await;
    match expected {
        None => {
            reply.assert_is(200, &content.read_all());
            assert_eq!(reply.header("content-range"), "", "{asked}");
        }
        Some((start, end)) => {
            assert_eq!((asked, reply.status), (asked, 206));
            reply.assert_is(206, &content.read_range(start, end - start));
            assert_eq!(reply.header("content-range"), format!("bytes {start}-{}/{SIZE}", end - 1), "{asked}");
            assert_eq!(reply.header("content-length"), (end - start).to_string(), "{asked}");
        }
    }
    assert_eq!(reply.header("etag"), quoted(&content.sha256()));
    assert_eq!(reply.header("accept-ranges"), "bytes");
}

#[tokio::test]
async fn ranges_of_a_stored_file_are_exact() {
    let hub = TestHub::builder().repo(repo()).start().await;
    hub.get(PATH).await.assert_is(200, &big().read_all());
    hub.landed().await;
    for (asked, expected) in table() {
        assert_range(&hub, PATH, &big(), &asked, expected).await;
    }
    assert_eq!(hub.cdn_bytes(), SIZE);
    hub.finish().await;
}

#[tokio::test]
async fn ranges_of_a_file_that_is_not_here_yet_are_as_exact() {
    // One file for each range: each is the first to be asked.
    let content = |number: usize| Content::random(100 + number as u64, SIZE);
    let files = 0..table().len();
    let repo = files.fold(Repo::model("org/cold"), |repo, number| repo.lfs(format!("{number}.bin"), content(number)));
    let hub = TestHub::builder().small_segments().repo(repo).start().await;
    for (number, (asked, expected)) in table().into_iter().enumerate() {
        let path = format!("/org/cold/resolve/main/{number}.bin");
        assert_range(&hub, &path, &content(number), &asked, expected).await;
    }
    hub.finish().await;
}

#[tokio::test]
async fn a_range_beyond_the_end_is_416_with_the_size() {
    let hub = TestHub::builder().repo(repo()).repo(model()).start().await;
    for path in [PATH, "/org/model/resolve/main/empty.txt", "/org/model/resolve/main/empty.bin"] {
        let size = hub.head(path).await.header("content-length").to_owned();
        for asked in [format!("bytes={size}-"), format!("bytes={size}-{size}")] {
            let reply = hub.get_with(path, &[("range", &asked)]).await;
            assert_eq!(
                (reply.status, reply.header("content-range")),
                (416, format!("bytes */{size}").as_str()),
                "{path} {asked}"
            );
            // huggingface_hub shows the header, others the body.
            for said in [reply.header("x-error-message").to_owned(), reply.text()] {
                assert!(said.contains(&format!("{size} bytes")) && said.contains("force_download=True"), "{said}");
                assert!(said.contains(".incomplete"), "{said}");
            }
        }
    }
    assert_eq!(hub.mock.stats().cdn_calls, 0, "nothing was fetched for it");
    hub.finish().await;
}

#[tokio::test]
async fn small_files_have_ranges_too() {
    let hub = TestHub::builder().repo(model()).start().await;
    let reply = hub.get_with("/org/model/resolve/main/README.md", &[("range", "bytes=2-8")]).await;
    reply.assert_is(206, b"A model");
    let reply = hub.get_with("/org/model/resolve/main/README.md", &[("range", "bytes=0-999999")]).await;
    assert_eq!((reply.status, reply.body.len()), (206, crate::harness::repos::README.len()));
    hub.finish().await;
}
