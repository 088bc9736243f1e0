//! The schema: made from nothing by several at once, checked, refused.

use nemeses_store::StoreError;

use crate::frames::{BASE, frame, part};
use crate::site::Site;

pub(crate) async fn migrations_may_start_together(site: Site) {
    let mut tasks = Vec::new();
    for _ in 0..4 {
        let instance = site.another().await;
        tasks.push(tokio::spawn(async move { instance.history().migrate().await }));
    }
    for task in tasks {
        task.await.unwrap().unwrap();
    }
    site.history().check_schema().await.unwrap();
    site.history().migrate().await.unwrap();
    assert_eq!(site.number("SELECT COUNT(*) FROM schema_version").await, 1);
    let parts = [part("w", 1, vec![frame(1, BASE, 1)])];
    assert_eq!(site.history().commit(&parts, "x").await.unwrap()[0].stored, 1);
}

pub(crate) async fn a_schema_that_does_not_fit_is_named(site: Site) {
    let message = |outcome: Result<(), StoreError>| match outcome {
        Err(StoreError::Schema(message)) => message,
        other => panic!("{other:?}"),
    };
    let history = site.history();
    assert!(message(history.check_schema().await).contains("nemeses migrate"));
    let parts = [part("w", 1, vec![frame(1, BASE, 1)])];
    let error = history.commit(&parts, "x").await.unwrap_err();
    assert!(matches!(error, StoreError::Schema(_)), "{error}");
    assert!(error.to_string().contains("nemeses migrate"), "{error}");

    history.migrate().await.unwrap();
    history.check_schema().await.unwrap();
    site.run("INSERT INTO schema_version (version, applied_at_ms) VALUES (999, 0)").await;
    assert!(message(history.check_schema().await).contains("newer"));
    assert!(message(history.migrate().await).contains("newer"));
}
