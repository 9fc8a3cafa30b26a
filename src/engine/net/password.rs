//! A server's password: a text, or a function of the application, which is asked for it at each dial (tokens that
//! expire).
//!
//! The engine never calls JavaScript. It tells the environment that gave the function, as an event, that the password
//! is wanted, and under which number; JavaScript calls the function in a tick of its own, and hands the text back by
//! that number. Whatever the function does, the dial waits for it no longer than for a server. Nothing here is printed,
//! and the text is dropped with the handshake that asked for it.

use std::borrow::Cow;
use std::collections::HashMap;
use std::hash::{Hash, Hasher};
use std::sync::Weak;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_channel::oneshot;
use once_cell::sync::Lazy;
use parking_lot::Mutex;

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::call::sink::Sink;
use crate::engine::task::timers::Timers;

#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Password {
    Text(String),
    Asked(Keeper),
}

/// A function of one environment, by the number that the environment knows it by. Functions are told apart by their
/// identity: caches with the same one may share a connection.
#[derive(Clone)]
pub struct Keeper {
    number: u32,
    sink: Weak<dyn Sink>,
}

impl PartialEq for Keeper {
    fn eq(&self, other: &Self) -> bool {
        self.number == other.number
    }
}

impl Eq for Keeper {}

impl Hash for Keeper {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.number.hash(state);
    }
}

/// Why there is no password.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    Threw,
    NoText,
    Late,
    Gone,
}

impl Refusal {
    fn trouble(self) -> Trouble {
        let message = match self {
            Self::Threw => "the function of the option password threw, or its promise was rejected",
            Self::NoText => "the function of the option password gave no text, or an empty one",
            Self::Late => "the function of the option password gave nothing in time",
            Self::Gone => "the thread that gave the function of the option password has ended",
        };
        Trouble::new(Kind::Auth, message)
    }
}

type Answer = Result<String, Refusal>;

/// The dials that wait for a password, by number.
static WAITING: Lazy<Mutex<HashMap<u32, oneshot::Sender<Answer>>>> = Lazy::new(Mutex::default);

/// A number that no other function of the process has, nor will, until 2^32 of them were given.
pub fn next_number() -> u32 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// What the function gave, or did instead. Nobody may wait for it any more.
pub fn answer(question: u32, answer: Answer) {
    let waiting = WAITING.lock().remove(&question);
    if let Some(waiting) = waiting {
        let _ = waiting.send(answer);
    }
}

/// A question that is open; forgotten when this is dropped.
struct Question(u32);

impl Drop for Question {
    fn drop(&mut self) {
        WAITING.lock().remove(&self.0);
    }
}

impl Keeper {
    pub fn new(number: u32, sink: Weak<dyn Sink>) -> Self {
        Self { number, sink }
    }

    async fn ask(&self, timers: &Timers, patience: Duration) -> Answer {
        static NEXT: AtomicU32 = AtomicU32::new(1);
        let Some(sink) = self.sink.upgrade().filter(|sink| !sink.closed()) else { return Err(Refusal::Gone) };
        let question = Question(NEXT.fetch_add(1, Ordering::Relaxed));
        let (done, answered) = oneshot::channel();
        WAITING.lock().insert(question.0, done);
        sink.event(format!(r#"{{"password":{},"question":{}}}"#, self.number, question.0));
        drop(sink);
        match timers.within(patience, answered).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) | Err(_) => Err(Refusal::Late),
        }
    }
}

impl Password {
    /// Whether it must be asked for.
    pub fn is_asked(&self) -> bool {
        matches!(self, Self::Asked(_))
    }

    /// The text, where it is known without asking.
    pub fn text(&self) -> Option<&str> {
        match self {
            Self::Text(text) => Some(text),
            Self::Asked(_) => None,
        }
    }

    /// The text, asked for where that must be; `patience`: for the answer.
    pub async fn get(&self, timers: &Timers, patience: Duration) -> Result<Cow<'_, str>, Trouble> {
        match self {
            Self::Text(text) => Ok(Cow::Borrowed(text)),
            Self::Asked(keeper) => keeper.ask(timers, patience).await.map(Cow::Owned).map_err(Refusal::trouble),
        }
    }
}
