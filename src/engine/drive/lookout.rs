//! Listens to a sentinel for the word that another server is the primary now.
//!
//! **The problem.** A primary that is cut off from its sentinels, but not from us, goes on taking writes that will be
//! lost; and one that is stopped is noticed by a deadline, but its successor only by asking again and again.
//!
//! **The approach.** One connection to one sentinel, whichever answers, subscribed to `+switch-master`. What it says is
//! a hint and no more: the node gives its connection up, asks the sentinels as before each dial, and the server that
//! they name must say itself that it is a primary. What is missed while there is no such connection is asked for when
//! there is one again; as a sentinel may be behind the others, a second one must say the same then.
//!
//! **The limits.** Where no sentinel can be reached there are no hints, and what takes writes is believed.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use redis::{Pipeline, Value};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::AbortHandle;

use super::runtime;
use super::socket::{self, Socket};
use crate::engine::cache::shared::Shared;
use crate::engine::net::password::Password;
use crate::engine::net::reply::text;
use crate::engine::net::resp::{Inbound, Message};
use crate::engine::net::target::Place;
use crate::engine::net::target::Target;
use crate::engine::net::tls::Asked;

/// A sentinel may take so long to answer.
const PATIENCE: Duration = Duration::from_millis(500);
/// One that says nothing for so long is asked whether it lives.
const SILENCE: Duration = Duration::from_secs(5);
/// At the most so long until another one is tried.
const PAUSE: Duration = Duration::from_secs(1);
/// Bytes read at once: messages are short.
const READ_BYTES: usize = 4096;

/// Listens until it is dropped.
pub struct Lookout(AbortHandle);

impl Drop for Lookout {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Begins to listen for an engine whose primary is named by sentinels; none for others, and where there is no thread.
pub fn look_out(shared: &Arc<Shared>) -> Option<Lookout> {
    shared.fleet.sentinel(&shared.random)?;
    let listening = listen(Arc::downgrade(shared));
    Some(Lookout(runtime().ok()?.spawn(listening).abort_handle()))
}

async fn listen(shared: Weak<Shared>) {
    let mut doubt: Option<(Arc<Target>, Place)> = None;
    loop {
        let Some((sentinel, name)) = shared.upgrade().and_then(|on| on.fleet.sentinel(&on.random)) else { return };
        let mut ear = Ear { shared: &shared, name: &name, sentinel: &sentinel, doubt: &mut doubt };
        ear.listen().await;
        let Some(part) = shared.upgrade().map(|on| on.random.part()) else { return };
        tokio::time::sleep(PAUSE.mul_f64(part)).await;
    }
}

struct Ear<'a> {
    shared: &'a Weak<Shared>,
    name: &'a str,
    sentinel: &'a Arc<Target>,
    /// Another sentinel named another primary than the one that is in use.
    doubt: &'a mut Option<(Arc<Target>, Place)>,
}

impl Ear<'_> {
    /// Until the connection is gone, or is of no use.
    async fn listen(&mut self) -> Option<()> {
        let asked = Asked::default();
        let dial = socket::open(&self.sentinel.address, PATIENCE, &asked);
        let mut socket = tokio::time::timeout(PATIENCE * 2, dial).await.ok()?.ok()?;
        let mut pipeline = Pipeline::new();
        if let Some(password) = self.sentinel.password.as_ref().and_then(Password::text) {
            pipeline.cmd("AUTH").arg(self.sentinel.user.as_deref()).arg(password);
        }
        pipeline.cmd("SENTINEL").arg("GET-MASTER-ADDR-BY-NAME").arg(self.name);
        pipeline.cmd("SUBSCRIBE").arg("+switch-master");
        write(&mut socket, &pipeline.get_packed_pipeline()).await?;
        let (mut inbound, mut room, mut asked) = (Inbound::default(), [0; READ_BYTES], true);
        loop {
            let patience = if asked { PATIENCE } else { SILENCE };
            let Ok(read) = tokio::time::timeout(patience, socket.read(&mut room)).await else {
                if asked {
                    return None;
                }
                asked = true;
                write(&mut socket, b"*1\r\n$4\r\nPING\r\n").await?;
                continue;
            };
            let bytes = room.get(..read.ok()?).filter(|bytes| !bytes.is_empty())?;
            asked = false;
            let mut told = Vec::new();
            let fed = inbound.feed(bytes, |message| {
                if let Message::Reply(value) = message {
                    told.push(value);
                }
                Ok(())
            });
            fed.ok()?;
            for value in told {
                self.told(value)?;
            }
        }
    }

    /// None where this sentinel is of no use.
    fn told(&mut self, value: Value) -> Option<()> {
        let parts = match value {
            Value::Array(parts) => parts,
            // It knows no such name.
            Value::Nil => return None,
            // Where it has no password the one that was given is refused, and the rest is not.
            Value::ServerError(error) => return (error.code() == "ERR").then_some(()),
            _ => return Some(()),
        };
        let parts: Vec<String> = parts.iter().map(|part| text(part).unwrap_or_default()).collect();
        match parts.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
            [host, port] => match port.parse() {
                Ok(port) => self.named(((*host).to_owned(), port)),
                // The reply to a PING.
                Err(_) => Some(()),
            },
            ["message", _, message] => {
                let words: Vec<&str> = message.split(' ').collect();
                if let [name, _, _, host, port] = words.as_slice()
                    && *name == self.name
                    && let (Some(on), Ok(port)) = (self.shared.upgrade(), port.parse())
                {
                    on.fleet.hint(&((*host).to_owned(), port));
                }
                Some(())
            }
            _ => Some(()),
        }
    }

    /// It says where the primary is.
    fn named(&mut self, place: Place) -> Option<()> {
        let on = self.shared.upgrade()?;
        if on.fleet.is_at(&place) {
            *self.doubt = None;
            return Some(());
        }
        match self.doubt.take() {
            Some((other, said)) if said == place && (other != *self.sentinel || on.fleet.has_one_sentinel()) => {
                on.fleet.hint(&place);
                Some(())
            }
            // Another one is to say so too.
            _ => {
                *self.doubt = Some((self.sentinel.clone(), place));
                None
            }
        }
    }
}

async fn write(socket: &mut Socket, bytes: &[u8]) -> Option<()> {
    let mut socket = Pin::new(socket);
    tokio::time::timeout(PATIENCE, async {
        socket.write_all(bytes).await.ok()?;
        socket.flush().await.ok()
    })
    .await
    .ok()?
}
