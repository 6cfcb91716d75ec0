//! What the command line says of an object store that cannot be used, with a hub that runs and without one. One that can is
//! in `tests/object`.

use super::*;
use crate::harness::Client;

const SECRET: &str = "aSecretOfTheObjectStore";

#[tokio::test]
async fn an_object_store_that_cannot_be_reached_is_said_wherever_one_looks() {
    let settings = [
        ("object.url", "s3://models/hub"),
        ("object.endpoint", "http://127.0.0.1:9"),
        ("object.access_key_id", "anAccessKey"),
        ("object.secret_access_key", SECRET),
    ];
    let lacks =
        |said: &Said| assert!(!said.out.contains(SECRET) && !said.err.contains(SECRET), "{}{}", said.out, said.err);
    for _ in 0..2 {
        let said = say(&["config", "check"], &settings, &[], "").await.is(1);
        lacks(&said);
        said.says("the settings are valid").says("s3://models/hub at http://127.0.0.1:9").says("fail  put an object: ");
    }
    let said = say(&["config", "print"], &settings, &[], "").await.is(0);
    lacks(&said);
    said.says("access_key_id = \"anAccessKey\"").says("secret_access_key = \"***\"");
    let dir = tempfile::tempdir().unwrap();
    let here = [("admin.url", "http://127.0.0.1:9"), ("store.data_dir", dir.path().to_str().unwrap())];
    let stopped: Vec<_> = settings.into_iter().chain(here).collect();
    let said = say(&["doctor"], &stopped, &[], "").await.is(1);
    lacks(&said);
    said.says("fail  object store").says("could not put an object");

    let hub = Hub::start(Options::default(), &settings).await;
    hub.mock.put(model());
    let path = format!("{}/org/model/resolve/main/config.json", hub.at.hub);
    for served in ["miss", "hit"] {
        assert_eq!(Client::new().call("GET", &path, &[], "").await.served(), served);
    }
    let at = [("admin.url", hub.at.admin.as_str())];
    for _ in 0..2 {
        let said = say(&["doctor"], &at, &[], "").await.is(1);
        lacks(&said);
        said.says("fail  object store").says("1 file (").says("waits for its upload").says("cannot be used: ");
        let said = say(&["storage"], &at, &[], "").await.is(0);
        lacks(&said);
        said.says("s3://models/hub at http://127.0.0.1:9").says("cannot be used: ");
    }
    hub.end().await;
}
