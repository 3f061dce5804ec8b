//! When the secret store is read again, and the results.

use futures_util::future::join_all;

use super::*;

#[tokio::test]
async fn a_rotated_secret_is_found_in_the_same_breath_by_all_who_ask() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let current = current(store(&manager, &["A"])).await.unwrap();
    let old = current.get();
    manager.put_all(&values("new"));
    let asked = join_all((0..20).map(|_| current.other_than(&old, START))).await;
    assert!(asked.iter().all(|other| other.as_ref().is_some_and(|other| **other == "new")), "{asked:?}");
    assert_eq!(manager.fetches(), 2, "once at start, once for all of them");
}

#[tokio::test]
async fn it_is_asked_again_at_most_once_a_minute_whatever_it_answers() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let current = current(store(&manager, &["A"])).await.unwrap();
    let old = current.get();
    let throttled = failure("ThrottlingException", "Rate exceeded");
    let hits = manager.proxy.always(|_| true, Fault::Answer(throttled));
    for (second, fetches) in [(0, 1), (1, 1), (59, 1), (60, 2), (61, 2), (119, 2), (121, 3)] {
        assert_eq!(current.other_than(&old, after(second)).await, None, "the old ones stay");
        assert_eq!(hits.count(), fetches, "at {second} s");
    }
    manager.proxy.heal();
    manager.put_all(&values("new"));
    assert_eq!(current.other_than(&old, after(180)).await, None, "too early");
    // An hour back: the clock was wrong.
    let new = current.other_than(&old, after(-3600)).await.unwrap();
    assert_eq!(*new, "new");
    assert_eq!(current.other_than(&old, after(-3600)).await, Some(new), "known without asking");
}

#[tokio::test]
async fn what_is_old_is_read_again_and_what_is_young_is_not() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let current = current(store(&manager, &["A"])).await.unwrap();
    manager.put_all(&values("new"));
    assert_eq!(*current.fresh(after(300)).await, "old");
    manager.proxy.once(|_| true, Fault::CutBefore);
    assert_eq!(*current.fresh(after(301)).await, "old", "it could not be read");
    assert_eq!(*current.fresh(after(302)).await, "old", "at most once a minute");
    assert_eq!(*current.fresh(after(361)).await, "new");
    assert_eq!(*current.fresh(after(600)).await, "new");
    assert_eq!(manager.fetches(), 3);
}

#[tokio::test]
async fn a_secret_store_that_never_answers_or_lost_a_secret_changes_nothing() {
    let manager = SecretsManager::start(&values("old")).await.unwrap();
    let current = current(store(&manager, &["A"])).await.unwrap();
    let old = current.get();
    manager.proxy.once(|_| true, Fault::HangBefore);
    assert_eq!(current.other_than(&old, START).await, None);
    manager.put(r#"{"A":""}"#);
    assert_eq!(current.other_than(&old, after(60)).await, None);
    assert_eq!((manager.fetches(), &**current.get()), (3, "old"));
}

#[tokio::test]
async fn variables_are_read_once() {
    let store = SecretStore::environment(names(&["A"]), |name| (name == "A").then(|| "a".to_owned()));
    let current = current(store).await.unwrap();
    assert_eq!(current.other_than(&current.get(), after(1000)).await, None);
    assert_eq!(*current.fresh(after(1000)).await, "a");
    let error =
        Current::start(SecretStore::environment(names(&["A", "B"]), |_| None), START, |_| Ok(())).await;
    let problems = error.unwrap_err().problems;
    assert_eq!(problems.iter().map(|problem| problem.field.as_str()).collect::<Vec<_>>(), ["A", "B"]);
}
