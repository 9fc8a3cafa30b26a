//! Removes the keys that match a pattern, a page of SCAN at a time: never KEYS, and never a key of anybody else.

use std::time::Duration;

use redis::{Cmd, Pipeline, Value, cmd};

use super::denied::Denied;
use super::reply::{classify, integer, out_of_step};
use super::wire::Wire;
use super::writes;
use crate::engine::error::Trouble;
use crate::engine::glob;
use crate::engine::journal::Pattern;
use crate::engine::mutant;
use crate::engine::near::Near;
use crate::engine::tags;

/// Keys that one SCAN looks at: a step of about a millisecond for the server.
const SCAN_COUNT: usize = 1_000;

/// A connection for long work: each step has a deadline.
pub struct Steps<'a> {
    pub wire: Wire,
    pub denied: Denied,
    pub patience: Duration,
    pub near: &'a Near,
}

impl Steps<'_> {
    pub async fn pipeline(&mut self, pipeline: Pipeline) -> Result<Vec<Value>, Trouble> {
        self.wire.ask(pipeline, self.patience).await
    }

    pub async fn command(&mut self, command: Cmd) -> Result<Value, Trouble> {
        let mut pipeline = Pipeline::with_capacity(1);
        pipeline.add_command(command);
        match self.pipeline(pipeline).await?.pop() {
            Some(Value::ServerError(error)) => Err(classify(&error)),
            Some(value) => Ok(value),
            None => Err(out_of_step()),
        }
    }

    /// Removes what matches, and adds to `removed` how many keys of the caller's there were.
    pub async fn sweep(&mut self, pattern: &Pattern, removed: &mut u64) -> Result<(), Trouble> {
        let full = match mutant::lacks("prefix") {
            false => format!("{}{}", glob::escape(&pattern.prefix), pattern.glob),
            true => pattern.glob.to_string(),
        };
        let mut cursor = b"0".to_vec();
        loop {
            let mut scan = cmd("SCAN");
            scan.arg(&cursor).arg("MATCH").arg(&full).arg("COUNT").arg(SCAN_COUNT);
            let Value::Array(mut page) = self.command(scan).await? else { return Err(out_of_step()) };
            let (Some(Value::Array(keys)), Some(Value::BulkString(next))) = (page.pop(), page.pop()) else {
                return Err(out_of_step());
            };
            *removed += self.remove(pattern, keys).await?;
            if next == b"0" {
                return Ok(());
            }
            cursor = next;
        }
    }

    async fn remove(&mut self, pattern: &Pattern, keys: Vec<Value>) -> Result<u64, Trouble> {
        let mut theirs = Vec::new();
        let mut ours = Vec::new();
        for key in keys {
            let Value::BulkString(key) = key else { continue };
            // The server matched it already; only keys of this namespace are ever removed, whatever the server says.
            let Some(rest) = key
                .strip_prefix(pattern.prefix.as_bytes())
                .or_else(|| mutant::lacks("prefix").then_some(key.as_slice()))
            else {
                continue;
            };
            if !glob::matches(pattern.glob.as_bytes(), rest) {
                continue;
            }
            if let Ok(key) = std::str::from_utf8(&key) {
                // With the UNLINK that is sent next: a read planned before it fills nothing, one planned behind it reads what is left.
                self.near.invalidate(key);
            }
            match tags::is_internal(rest) {
                false => theirs.push(key),
                true if pattern.internal => ours.push(key),
                true => {}
            }
        }
        self.unlink(ours).await?;
        self.unlink(theirs).await
    }

    /// Removes keys; how many there were.
    pub async fn unlink<K: redis::ToRedisArgs>(&mut self, keys: Vec<K>) -> Result<u64, Trouble> {
        if keys.is_empty() {
            return Ok(0);
        }
        let mut unlink = cmd(writes::remove(self.denied));
        unlink.arg(keys);
        Ok(u64::try_from(integer(self.command(unlink).await?)?).unwrap_or(0))
    }
}
