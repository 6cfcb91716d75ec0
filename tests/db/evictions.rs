//! What an eviction takes that somebody has chosen by models.

use modelhub::db::EvictionRule;
use modelhub::domain::{ModelId, work};

use crate::database::{TestDatabase, on_both};
use crate::storage::{blob, model, named, row, rule, sized};

on_both!(only_what_was_chosen_goes);

async fn only_what_was_chosen_goes(base: &TestDatabase) {
    let db = base.open().await;
    let a = model(&db, "org/a", &[sized("shared", 1, 100), sized("own", 2, 20)]).await;
    let b = model(&db, "org/b", &[sized("shared", 1, 100), sized("own", 3, 3)]).await;
    for (content, size) in [(1, 100), (2, 20), (3, 3), (4, 40)] {
        blob(&db, content, size, content.into()).await;
    }
    // All that goes, of it what no model has, and the sum of the models' lines.
    let goes = async |models: &[&ModelId], unreferenced| {
        let models = models.iter().map(ToString::to_string).collect();
        let rule = EvictionRule { only: Some(work::Chosen { models, unreferenced }), ..rule(i64::MAX, 0, false) };
        let (all, nobodys) = db.eviction(&rule).await.unwrap();
        let lines: u64 = db.eviction_by_repo(&rule, 100).await.unwrap().iter().map(|line| line.bytes).sum();
        (all.goes.bytes, nobodys.goes.bytes, lines, named(db.evictable(&rule, 100).await.unwrap()))
    };
    // Of what two models share, nothing goes while one of them stays.
    assert_eq!(goes(&[&a], false).await, (20, 0, 20, vec![row(2, 20)]));
    assert_eq!(goes(&[&a, &b], false).await, (123, 0, 223, vec![row(1, 100), row(2, 20), row(3, 3)]));
    assert_eq!(goes(&[&b], true).await, (43, 40, 3, vec![row(3, 3), row(4, 40)]));
    assert_eq!(goes(&[], true).await, (40, 40, 0, vec![row(4, 40)]));
}
