//! A password that is asked for: the answer goes to the question, once, and whoever waits is always told.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::engine::call::sink::Sink;
use crate::engine::net::password::{Keeper, Password, Refusal, answer, next_number};
use crate::engine::task::timers::Timers;
use crate::engine::tests::support::Client;

const PATIENCE: Duration = Duration::from_secs(3);

/// A function of `client`, and the number of a question of it that was heard.
fn asked(client: &Arc<Client>) -> (Password, impl Fn() -> u32) {
    let number = next_number();
    let sink: Arc<dyn Sink> = client.clone();
    let heard = {
        let client = client.clone();
        move || {
            let events = client.events.lock();
            let begins = format!(r#"{{"password":{number},"question":"#);
            let last = events.iter().rev().find_map(|event| event.strip_prefix(&begins)).expect("a question");
            last.trim_end_matches('}').parse().expect("a number")
        }
    };
    (Password::Asked(Keeper::new(number, Arc::downgrade(&sink))), heard)
}

#[test]
fn the_answer_reaches_its_question_and_no_other() {
    let (client, timers) = (Client::new(), Timers::new(Instant::now()));
    let (password, heard) = asked(&client);
    let mut context = Context::from_waker(Waker::noop());
    let mut first = Box::pin(password.get(&timers, PATIENCE));
    assert!(first.as_mut().poll(&mut context).is_pending());
    let question = heard();
    let mut second = Box::pin(password.get(&timers, PATIENCE));
    assert!(second.as_mut().poll(&mut context).is_pending());
    assert_ne!(question, heard());
    answer(question, Ok("secret".into()));
    assert!(matches!(first.as_mut().poll(&mut context), Poll::Ready(Ok(text)) if text == "secret"));
    assert!(second.as_mut().poll(&mut context).is_pending());
    answer(heard(), Err(Refusal::Threw));
    let Poll::Ready(Err(trouble)) = second.as_mut().poll(&mut context) else { panic!("no trouble") };
    assert!(trouble.message.contains("threw"), "{}", trouble.message);
    // Whatever comes later concerns nobody.
    answer(question, Ok("late".into()));
}

#[test]
fn nobody_waits_longer_than_patience_allows_or_for_a_thread_that_has_ended() {
    let (client, begun) = (Client::new(), Instant::now());
    let timers = Timers::new(begun);
    let (password, heard) = asked(&client);
    let mut context = Context::from_waker(Waker::noop());
    let mut waiting = Box::pin(password.get(&timers, PATIENCE));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    timers.set(begun + PATIENCE - Duration::from_millis(1));
    assert!(waiting.as_mut().poll(&mut context).is_pending());
    timers.set(begun + PATIENCE);
    let Poll::Ready(Err(trouble)) = waiting.as_mut().poll(&mut context) else { panic!("it waits") };
    assert!(trouble.message.contains("in time"), "{}", trouble.message);
    answer(heard(), Ok("late".into()));

    client.ended.store(true, Ordering::SeqCst);
    let Poll::Ready(Err(trouble)) = Box::pin(password.get(&timers, PATIENCE)).as_mut().poll(&mut context) else {
        panic!("it asks")
    };
    assert!(trouble.message.contains("has ended"), "{}", trouble.message);
}

#[test]
fn functions_are_told_apart_by_their_numbers() {
    let client = Client::new();
    let (one, _) = asked(&client);
    let (other, _) = asked(&client);
    assert!(one == one.clone() && one != other && one != Password::Text("1".into()));
    assert!(one.text().is_none() && one.is_asked());
}
