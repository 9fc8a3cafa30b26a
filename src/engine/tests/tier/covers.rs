//! Covers: which keys a sweep hides and removes, and what of it an outage leaves to the next connection.

use redis::Value;

use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::tier::cover::Covered;
use crate::engine::tier::covers::MAX_EXCEPTIONS;
use crate::engine::tier::journal::{Journal, MAX_PATTERNS};

fn pattern(glob: &str) -> Pattern {
    Pattern::new(&Prefix::new("app"), glob, false)
}

fn keys(names: &[&str]) -> Vec<Value> {
    names.iter().map(|name| Value::BulkString(name.as_bytes().to_vec())).collect()
}

fn picked(journal: &Journal, names: &[&str]) -> Vec<String> {
    let parts = journal.pick(keys(names));
    parts.into_iter().flat_map(|part| part.keys).map(|key| String::from_utf8_lossy(&key).into_owned()).collect()
}

#[test]
fn a_cover_hides_its_keys_but_those_that_lie_there_anew() {
    let journal = Journal::default();
    let mut told = journal.raise(pattern("k*"));
    assert!(journal.covers("app:k1") && !journal.covers("app:x") && !journal.covers("app:\0tag\0k"));
    assert!(matches!(journal.uncover("app:k1"), Covered::Excepted(_)));
    assert!(!journal.covers("app:k1") && matches!(journal.uncover("app:k1"), Covered::No));
    assert_eq!(journal.walk(Some("server")).expect("a walk").glob, "app:k*");
    assert_eq!(picked(&journal, &["app:k1", "app:k2", "app:x", "xapp:k"]), ["app:k2"]);
    assert_eq!(journal.went(), 0, "an exception is to be written, and hides no more than that");
    journal.walked(None);
    assert!(!journal.covers("app:k2") && told.try_recv().is_ok());
    assert_eq!(journal.went(), 1);
}

#[test]
fn a_sweep_that_was_another_servers_is_about_the_slots_that_came_and_spares_what_lies_there_anew() {
    let journal = Journal::default();
    let came = pattern("k*").among(|key| key != b"app:k9");
    journal.take_over((came, ["app:k1".into()].into()));
    assert!(journal.covers("app:k2"));
    assert!(!journal.covers("app:k1"), "it was written behind the sweep, where it was before");
    assert!(!journal.covers("app:k9"), "it was here already");
    assert!(journal.walk(Some("server")).is_some());
    assert_eq!(picked(&journal, &["app:k1", "app:k2", "app:k9"]), ["app:k2"]);
    journal.walked(None);
    assert!(!journal.covers("app:k2"));
    let measures = journal.measures();
    assert!(measures.iter().all(|(what, there, _)| *there == 0 || !what.contains("exceptions")), "{measures:?}");
}

#[test]
fn beyond_its_bound_an_exception_is_none() {
    let journal = Journal::default();
    let _told = journal.raise(pattern("*"));
    for n in 0..MAX_EXCEPTIONS {
        assert!(matches!(journal.uncover(&format!("app:{n}")), Covered::Excepted(_)));
    }
    assert!(matches!(journal.uncover("app:more"), Covered::Still(_)));
    assert!(journal.covers("app:more") && !journal.covers("app:0"));
    journal.walk(None);
    journal.walked(None);
    let _told = journal.raise(pattern("*"));
    assert!(matches!(journal.uncover("app:more"), Covered::Excepted(_)), "the room is given back");
}

#[test]
fn a_pattern_that_is_called_again_during_a_walk_is_walked_for_again() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let _ = journal.note_pattern(&prefix, pattern("k*"), false);
    let _ = journal.note_pattern(&prefix, pattern("x*"), false);
    journal.walk(Some("server"));
    let _ = journal.note_pattern(&prefix, pattern("k*"), false);
    assert_eq!(picked(&journal, &["app:k", "app:x"]), ["app:x"]);
    journal.walked(None);
    assert!(journal.covers("app:k") && !journal.covers("app:x"));
    assert_eq!(journal.len(), 1);
}

#[test]
fn whoever_calls_the_same_pattern_before_its_walk_begins_shares_it() {
    let journal = Journal::default();
    let mut first = journal.raise(pattern("a*"));
    assert!(matches!(journal.uncover("app:a1"), Covered::Excepted(_)));
    let mut second = journal.raise(pattern("a*"));
    assert!(journal.covers("app:a1"), "what was written between the two is swept for the second");
    assert!(journal.walk(Some("s")).is_some());
    let mut third = journal.raise(pattern("a*"));
    assert_eq!(picked(&journal, &["app:a1", "b"]), ["app:a1"]);
    for part in journal.pick(keys(&["app:a1"])) {
        journal.removed(part.id, 1);
    }
    journal.walked(None);
    assert!(matches!(first.try_recv(), Ok(Some(Ok(1)))));
    assert!(matches!(second.try_recv(), Ok(Some(Ok(0)))), "what went is counted once");
    assert!(matches!(third.try_recv(), Ok(None)), "its walk is the next one");
    assert!(journal.walk(Some("s")).is_some());
    journal.walked(None);
    assert!(matches!(third.try_recv(), Ok(Some(Ok(0)))));
    assert!(!journal.is_covering());
}

#[test]
fn a_walk_that_was_cut_off_goes_on_on_the_same_server_alone() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let cursor =
        |server: &str| journal.walk(Some(server)).map(|walk| String::from_utf8_lossy(&walk.cursor).into_owned());
    let _ = journal.note_pattern(&prefix, pattern("*"), false);
    assert_eq!(cursor("one").as_deref(), Some("0"));
    journal.turn(b"17".to_vec());
    journal.lose();
    assert_eq!(cursor("one").as_deref(), Some("17"));
    // What an exception passed over may be there still: its own removal need not have reached the server.
    journal.uncover("app:k");
    assert!(picked(&journal, &["app:k"]).is_empty());
    journal.turn(b"18".to_vec());
    journal.lose();
    assert!(journal.covers("app:k"));
    assert_eq!(cursor("one").as_deref(), Some("0"));
    journal.turn(b"19".to_vec());
    journal.lose();
    assert_eq!(cursor("another").as_deref(), Some("0"));
}

#[test]
fn a_key_is_noted_beside_its_whole_namespace() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let _ = journal.note_pattern(&prefix, Pattern::everything(&prefix), false);
    let _ = journal.note(&prefix, "app:before");
    assert_eq!((journal.keys(), journal.len()), (1, 2), "its slot may go where nothing is swept");
    journal.walk(Some("server"));
    let _ = journal.note(&prefix, "app:behind");
    assert_eq!((journal.keys(), journal.len()), (2, 3), "the walk may have passed it");
}

#[test]
fn what_a_server_refuses_to_search_for_hides_nothing_and_is_tried_again_on_the_next_one() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let _ = journal.note_pattern(&prefix, pattern("*"), true);
    assert!(!journal.covers("app:k") && journal.walk(None).is_none());
    journal.lose();
    assert!(journal.covers("app:k") && journal.walk(None).is_some());
}

#[test]
fn what_was_swept_when_the_connection_was_lost_is_a_namespace_where_it_is_too_much() {
    let (journal, prefix) = (Journal::default(), Prefix::new("app"));
    let _ = journal.note_pattern(&prefix, pattern("waits*"), false);
    let swept: Vec<_> = (0..MAX_PATTERNS).map(|n| journal.raise(pattern(&format!("{n}*")))).collect();
    journal.lose();
    drop(swept);
    assert_eq!(journal.len(), 1);
    assert!(journal.covers("app:anything") && !journal.covers("apple:k"));
}

#[test]
fn a_sweep_is_over_when_the_keys_that_calls_removed_themselves_have_gone() {
    let journal = Journal::default();
    let mut told = journal.raise(pattern("k*"));
    let Covered::Excepted(removal) = journal.uncover("app:k1") else { panic!("it is covered") };
    journal.walk(None);
    let removals = journal.all_walked().expect("one is under way");
    assert!(!journal.covers("app:k2"), "its walk has been over all keys");
    assert!(matches!(journal.uncover("app:k2"), Covered::No));
    let mut over = std::pin::pin!(removals.over());
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(over.as_mut().poll(&mut context).is_pending());
    journal.removed(removal.id, 1);
    drop(removal);
    assert!(over.as_mut().poll(&mut context).is_ready());
    journal.walked(None);
    assert!(matches!(told.try_recv(), Ok(Some(Ok(1)))));
    let _told = journal.raise(pattern("k*"));
    journal.walk(None);
    assert!(journal.all_walked().is_none(), "nothing is under way");
}

#[test]
fn it_is_swept_again_where_the_connection_is_lost_before_they_have() {
    let journal = Journal::default();
    let _told = journal.raise(pattern("k*"));
    let Covered::Excepted(removal) = journal.uncover("app:k1") else { panic!("it is covered") };
    journal.walk(Some("server"));
    journal.turn(b"17".to_vec());
    assert!(journal.all_walked().is_some());
    journal.lose();
    drop(removal);
    assert!(journal.covers("app:k1") && journal.covers("app:k2"));
    assert_eq!(journal.walk(Some("server")).expect("a walk").cursor, b"0");
    assert!(journal.all_walked().is_none(), "what was under way went with the connection");
}
