//! The replies of one pipeline, one after the other: each step of its plan takes its own.

use std::vec;

use redis::Value;

use crate::engine::exchange::plan::Run;

/// The replies of one pipeline, as its steps consume them.
pub(super) struct Replies {
    values: vec::IntoIter<Value>,
    /// A read is a GET, as the server denies MGET.
    gets: bool,
    /// Of the MGET that is being read; empty where it failed.
    mget: vec::IntoIter<Value>,
    /// The PTTL behind it.
    pub(super) ttls: vec::IntoIter<Value>,
    /// And the leases behind those.
    pub(super) leases: vec::IntoIter<Value>,
}

impl Replies {
    pub(super) fn new(values: Vec<Value>, gets: bool) -> Self {
        let none = || Vec::new().into_iter();
        Self { values: values.into_iter(), gets, mget: none(), ttls: none(), leases: none() }
    }

    pub(super) fn next(&mut self) -> Option<Value> {
        self.values.next()
    }

    pub(super) fn last_of(&mut self, replies: usize) -> Option<Value> {
        self.values.nth(replies - 1)
    }

    pub(super) fn take(&mut self, replies: usize) -> Vec<Value> {
        self.values.by_ref().take(replies).collect()
    }

    /// The value of a read.
    pub(super) fn read(&mut self, run: Run) -> Option<Value> {
        if run.keys > 0 {
            self.mget = match self.values.next() {
                Some(Value::Array(values)) if !self.gets && values.len() == run.keys => values.into_iter(),
                // An error goes for all of them.
                Some(value @ Value::ServerError(_)) => vec![value; run.keys].into_iter(),
                Some(value) if self.gets => vec![value].into_iter(),
                // Not what an MGET is answered with, so no key's value: a kind that no read takes.
                Some(_) => vec![Value::Okay; run.keys].into_iter(),
                None => Vec::new().into_iter(),
            };
            self.ttls = self.take(run.fills).into_iter();
            self.leases = self.take(run.leases).into_iter();
        }
        self.mget.next()
    }
}
