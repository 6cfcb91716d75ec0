//! The Xet hashes that the hub computes itself are those of xet-core.

use mock_hf::{Content, Options, Repo};

use crate::harness::TestHub;
use crate::harness::repos::MIB;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn computed_hashes_are_those_of_xet_core() {
    let noise = |seed: u64, size: u64| Content::random(seed, size);
    let zeros = |size: usize| Content::Bytes(vec![0; size].into());
    let text = Content::Bytes("what is often repeated has many equal chunks; ".repeat(100_000).into());
    let contents = [
        noise(1, 1),
        noise(2, 8191),
        noise(3, 8193),
        noise(4, 131_071),
        noise(5, 131_073),
        noise(6, 3 * MIB + 17),
        noise(7, 40 * MIB + 5),
        zeros(131_072),
        zeros(5_000_000),
        text,
    ];
    let repo = || {
        let each = contents.iter().enumerate();
        each.fold(Repo::model("org/model"), |repo, (number, content)| {
            repo.lfs(format!("{number}.bin"), content.clone())
        })
    };
    let judged =
        TestHub::builder().options(Options { xet_store: true, ..Options::default() }).repo(repo()).start().await;
    let alone = TestHub::builder().options(Options { xet: false, ..Options::default() }).repo(repo()).start().await;
    for (number, content) in contents.iter().enumerate() {
        let path = format!("/org/model/resolve/main/{number}.bin");
        assert_eq!(alone.head(&path).await.header("x-xet-hash"), "", "known before the content is here");
        alone.get(&path).await.assert_is(200, &content.read_all());
        alone.landed().await;
        let (expected, computed) = (judged.head(&path).await, alone.head(&path).await);
        assert_eq!(expected.header("x-xet-hash").len(), 64, "{number}");
        assert_eq!(computed.header("x-xet-hash"), expected.header("x-xet-hash"), "{number}");
    }
    judged.finish().await;
    alone.finish().await;
}
