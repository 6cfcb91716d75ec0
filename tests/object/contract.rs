//! What the adapter promises, asked of a real server.

use std::path::PathBuf;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use modelhub::config::Config;
use modelhub::domain::{Clock, Digest};
use modelhub::object::{Error, ObjectStore, check};

use crate::server::{BUCKET, Fault, KEY, S3, SECRET, SLOW_DOWN, hash};

fn open(s3: &S3, settings: &[(&'static str, &str)]) -> ObjectStore {
    let mut flags: Vec<(&str, String)> = vec![
        ("store.data_dir", PathBuf::from("/nowhere").display().to_string()),
        ("object.url", format!("s3://{BUCKET}/hub")),
        ("object.endpoint", s3.url()),
        ("object.access_key_id", KEY.into()),
        ("object.secret_access_key", SECRET.into()),
    ];
    flags.retain(|(key, _)| settings.iter().all(|(other, _)| key != other));
    flags.extend(settings.iter().map(|(key, value)| (*key, (*value).to_owned())));
    let config = Config::load(None, std::iter::empty(), &flags).unwrap();
    ObjectStore::open(&config.object, &Clock::system()).unwrap().unwrap()
}

fn digest(bytes: &[u8]) -> Digest {
    Digest::parse(&hash(bytes)).unwrap()
}

async fn read(store: &ObjectStore, digest: Digest, range: std::ops::Range<u64>) -> Result<Vec<u8>, Error> {
    let pieces: Vec<Bytes> = store.read(digest, range).await?.try_collect().await?;
    Ok(pieces.concat())
}

#[tokio::test]
async fn an_object_is_put_read_in_ranges_listed_and_removed() {
    let s3 = S3::start().await;
    let store = open(&s3, &[]);
    let (one, two) = (b"first".as_slice(), b"second".as_slice());
    for _ in 0..2 {
        for bytes in [one, two] {
            store.put(digest(bytes), Bytes::copy_from_slice(bytes)).await.unwrap();
            assert_eq!(store.size(digest(bytes)).await.unwrap(), Some(bytes.len() as u64));
        }
    }
    assert_eq!(read(&store, digest(one), 1..4).await.unwrap(), b"irs");
    let mut all = vec![(digest(one), 5), (digest(two), 6)];
    all.sort_unstable();
    let listed: Vec<_> = store.list(None).try_collect().await.unwrap();
    assert_eq!(listed, all);
    let rest: Vec<_> = store.list(Some(all[0].0)).try_collect().await.unwrap();
    assert_eq!(rest, all[1..]);
    for _ in 0..2 {
        store.delete(digest(one)).await.unwrap();
        assert_eq!(store.size(digest(one)).await.unwrap(), None);
        assert_eq!(read(&store, digest(one), 0..5).await, Err(Error::Missing));
    }
    assert!(s3.has(two));
}

#[tokio::test]
async fn parts_are_nothing_before_they_are_completed_and_nothing_when_aborted() {
    let s3 = S3::start().await;
    let store = open(&s3, &[]);
    let bytes = [vec![1; 5 << 20], vec![2; 5 << 20], vec![3; 7]].concat();
    let name = digest(&bytes);
    for completes in [false, true] {
        let upload = store.begin(name).await.unwrap();
        // Their order is that of their numbers, whenever they arrive.
        let mut parts = Vec::new();
        for number in [2, 0, 1] {
            let part = &bytes[number * (5 << 20)..bytes.len().min((number + 1) * (5 << 20))];
            parts.push((number, store.part(&upload, number, Bytes::copy_from_slice(part)).await.unwrap()));
        }
        assert_eq!(store.size(name).await.unwrap(), None);
        if completes {
            parts.sort_by_key(|(number, _)| *number);
            store.complete(&upload, parts.into_iter().map(|(_, part)| part).collect()).await.unwrap();
            assert!(s3.has(&bytes));
        } else {
            store.abort(&upload).await.unwrap();
            assert_eq!(store.size(name).await.unwrap(), None);
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_step_by_step_without_a_secret() {
    let s3 = S3::start().await;
    let steps = check(&open(&s3, &[])).await;
    assert!(steps.len() == 10 && steps.iter().all(|step| step.outcome.is_ok()), "{steps:#?}");
    assert!(s3.objects().is_empty(), "nothing is left of it");
    let failed = async |store: &ObjectStore| {
        let steps = check(store).await;
        let last = steps.last().unwrap();
        let why = last.outcome.clone().err().unwrap_or_else(|| panic!("{}: nothing failed: {steps:#?}", store.name()));
        (last.what, why.to_string())
    };
    let (what, why) = failed(&open(&s3, &[("object.secret_access_key", "another-secret")])).await;
    assert_eq!((what, why.as_str()), ("put an object", "the credentials are refused (SignatureDoesNotMatch)"));
    s3.fault("PUT", "/hub/", Fault::Error(404, "NoSuchBucket"), 1);
    let (_, why) = failed(&open(&s3, &[])).await;
    assert_eq!(why, "there is no such bucket");
    s3.fault("PUT", "partNumber=2", SLOW_DOWN, 99);
    let (what, why) = failed(&open(&s3, &[])).await;
    assert!(what == "send parts" && why.contains("SlowDown") && !why.contains(SECRET), "{what}: {why}");
    s3.stop();
    let (what, why) = failed(&open(&s3, &[])).await;
    assert!(what == "put an object" && !why.contains(SECRET) && !why.contains(KEY), "{what}: {why}");
}

#[tokio::test]
async fn a_mishap_is_tried_again_and_a_lost_answer_is_no_second_object() {
    let s3 = S3::start().await;
    let store = open(&s3, &[]);
    let bytes = b"a small file".as_slice();
    s3.fault("PUT", "/hub/", SLOW_DOWN, 1);
    store.put(digest(bytes), Bytes::copy_from_slice(bytes)).await.unwrap();
    assert_eq!(s3.requests("PUT", "/hub/"), 2);
    s3.fault("GET", "/hub/", SLOW_DOWN, 1);
    assert_eq!(read(&store, digest(bytes), 0..12).await.unwrap(), bytes);
    s3.fault("PUT", "/hub/", Fault::LostAnswer, 1);
    store.put(digest(bytes), Bytes::copy_from_slice(bytes)).await.unwrap();
    assert!(s3.has(bytes) && s3.objects().len() == 1);
}
