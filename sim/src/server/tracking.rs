//! Client-side caching: who read which key, and the pushes that tell them when it changes.
//!
//! A key is remembered for each client that read it, and forgotten with the push that tells them of its change. Pushes
//! about what a client's own command did come behind the command's reply; those to other clients go out at once.

use std::collections::BTreeMap;

use crate::server::Id;
use crate::server::Server;
use crate::server::reply::write_invalidation;

/// Who read which key.
#[derive(Default)]
pub struct Tracking {
    readers: BTreeMap<Vec<u8>, Vec<Id>>,
    /// What the client of the present command is told behind its reply; none stands for all keys.
    pending: Vec<Option<Vec<u8>>>,
}

impl Server {
    /// Remembers what a command read for its client.
    pub(super) fn remember<'a>(&mut self, id: Id, keys: impl Iterator<Item = &'a [u8]>) {
        for key in keys {
            match self.tracking.readers.get_mut(key) {
                Some(readers) if readers.contains(&id) => {}
                Some(readers) => readers.push(id),
                None => {
                    self.tracking.readers.insert(key.to_vec(), vec![id]);
                }
            }
        }
    }

    /// A key changed: whoever read it is told.
    pub(super) fn changed(&mut self, key: &[u8]) {
        let Some(readers) = self.tracking.readers.remove(key) else { return };
        for id in readers {
            let Some(watch) = self.clients.get(id).filter(|client| client.open).and_then(|client| client.tracking)
            else {
                continue;
            };
            if watch.noloop && id == self.current {
                continue;
            }
            self.tell(id, Some(key));
        }
    }

    /// All keys went.
    pub(super) fn all_changed(&mut self) {
        for id in 0..self.clients.len() {
            if self.clients.get(id).is_some_and(|client| client.open && client.tracking.is_some()) {
                self.tell(id, None);
            }
        }
        self.tracking.readers.clear();
    }

    fn tell(&mut self, id: Id, key: Option<&[u8]>) {
        if self.nested > 0 && id == self.current {
            self.tracking.pending.push(key.map(<[u8]>::to_vec));
        } else {
            self.push(id, key);
        }
    }

    fn push(&mut self, id: Id, key: Option<&[u8]>) {
        if let Some(client) = self.clients.get_mut(id)
            && client.resp3
            && !client.closing
        {
            write_invalidation(key, &mut client.output);
        }
    }

    /// What waited for the reply of the client's command.
    pub(super) fn push_pending(&mut self, id: Id) {
        for key in std::mem::take(&mut self.tracking.pending) {
            self.push(id, key.as_deref());
        }
    }

    /// The table is too large: some keys are invalidated, whichever they are.
    pub(super) fn bound_tracking(&mut self) {
        let Some(most) = self.faults.tracked_keys.filter(|most| *most > 0) else { return };
        while self.tracking.readers.len() > most {
            let at = self.below(self.tracking.readers.len());
            let Some(key) = self.tracking.readers.keys().nth(at).cloned() else { return };
            self.changed(&key);
        }
    }

    pub(super) fn forget_readers(&mut self) {
        self.tracking = Tracking::default();
    }

    /// Keys in the table.
    #[cfg(test)]
    pub fn tracked(&self) -> usize {
        self.tracking.readers.len()
    }
}
