//! Which keys a pipeline's commands write, and at which place: a server pushes to whoever changed a key, too.
//!
//! It says so next to the reply of the command that did it: behind it from Redis 7 on, in front of it before. So the
//! place tells our own changes from those of others without a guess at what is under way. Commands of a transaction
//! count at its EXEC, where they are carried out. A script is taken to write each of its keys.

use redis::{Arg, Pipeline};

/// The commands of the engine that write their first argument, or all of them.
const OF_ONE: [&[u8]; 5] = [b"SET", b"INCRBY", b"PEXPIRE", b"PERSIST", b"GETDEL"];
const OF_ALL: [&[u8]; 2] = [b"UNLINK", b"DEL"];
/// Those whose second argument says how many keys follow.
const SCRIPTS: [&[u8]; 2] = [b"EVAL", b"EVALSHA"];

/// What a pipeline writes, while somebody wants to know.
#[derive(Default)]
pub(super) struct Writes {
    /// How many commands there are.
    pub commands: usize,
    keys: Vec<(usize, Box<[u8]>)>,
}

impl Writes {
    pub fn of(pipeline: &Pipeline) -> Self {
        let mut writes = Self { commands: pipeline.len(), keys: Vec::new() };
        // Where what a transaction has written so far begins.
        let mut queued = None;
        for (at, command) in pipeline.cmd_iter().enumerate() {
            let mut words =
                command.args_iter().filter_map(|word| if let Arg::Simple(word) = word { Some(word) } else { None });
            match words.next() {
                Some(b"MULTI") => queued = Some(writes.keys.len()),
                Some(b"EXEC") => {
                    let from = queued.take().unwrap_or(writes.keys.len());
                    writes.keys.iter_mut().skip(from).for_each(|(place, _)| *place = at);
                }
                Some(name) if OF_ONE.contains(&name) => writes.add(at, words.take(1)),
                Some(name) if OF_ALL.contains(&name) => writes.add(at, words),
                Some(name) if SCRIPTS.contains(&name) => {
                    let count = words.nth(1).and_then(|count| std::str::from_utf8(count).ok()?.parse().ok());
                    writes.add(at, words.take(count.unwrap_or(0)));
                }
                _ => {}
            }
        }
        writes
    }

    fn add<'a>(&mut self, at: usize, keys: impl Iterator<Item = &'a [u8]>) {
        self.keys.extend(keys.map(|key| (at, key.into())));
    }

    /// Whether the command that was answered last wrote a key, or the next one, where so many have been answered.
    pub fn has(&self, key: &str, done: usize) -> bool {
        self.keys.iter().any(|(at, written)| (*at == done || at + 1 == done) && **written == *key.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use redis::Pipeline;

    use super::Writes;

    /// At which numbers of answers a push about a key is taken for our own.
    fn own(pipeline: &Pipeline, key: &str) -> Vec<usize> {
        let writes = Writes::of(pipeline);
        (0..=writes.commands).filter(|done| writes.has(key, *done)).collect()
    }

    #[test]
    fn a_push_is_our_own_next_to_the_reply_of_a_command_that_writes_its_key() {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("GET").arg("a").cmd("SET").arg("a").arg("b").cmd("GET").arg("a").cmd("UNLINK").arg("c").arg("b");
        pipeline.cmd("EVALSHA").arg("sha").arg(2).arg("d").arg("e").arg("f");
        assert_eq!(own(&pipeline, "a"), [1, 2]);
        assert_eq!([own(&pipeline, "b"), own(&pipeline, "c")], [[3, 4], [3, 4]]);
        assert_eq!([own(&pipeline, "d"), own(&pipeline, "e")], [[4, 5], [4, 5]]);
        assert!(own(&pipeline, "f").is_empty());
    }

    #[test]
    fn what_a_transaction_writes_is_written_by_its_exec() {
        let mut pipeline = Pipeline::new();
        pipeline.cmd("SET").arg("a").arg(1).cmd("MULTI").cmd("INCRBY").arg("b").arg(1).cmd("GET").arg("c").cmd("EXEC");
        pipeline.cmd("ECHO").arg("b");
        assert_eq!([own(&pipeline, "a"), own(&pipeline, "b"), own(&pipeline, "c")], [vec![0, 1], vec![4, 5], vec![]]);
    }
}
