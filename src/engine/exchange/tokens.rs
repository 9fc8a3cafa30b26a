//! Asks Redis for the tokens of tags (src/engine/value/tags.rs): before a batch is planned that stores under them, and
//! behind one that read entries which carry them.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use once_cell::sync::Lazy;
use redis::{Cmd, Pipeline, Value};

use crate::engine::base::clock::Ttl;
use crate::engine::base::error::Trouble;
use crate::engine::base::key;
use crate::engine::base::mutant;
use crate::engine::base::random::Random;
use crate::engine::base::text::Json;
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::options::DEFAULT_MAX_AGE;
use crate::engine::call::batch::{Batch, Op};
use crate::engine::exchange::refusals;
use crate::engine::exchange::writes::{self, pexpire};
use crate::engine::fleet::server::Server;
use crate::engine::net::denied::Denied;
use crate::engine::net::reply::{classify, left};
use crate::engine::once::lease::Script;
use crate::engine::tier::cover::Covered;
use crate::engine::tier::cover::Removal;
use crate::engine::value::record;
use crate::engine::value::tags::{self, Tokens};

/// How long a token lives; it is renewed by whoever uses it in the second half of that time, unless it names old ones.
/// An entry with a longer TTL may be a miss earlier.
pub const LIFE: Duration = Duration::from_secs(30 * 86_400);

/// The most tokens that one pipeline asks for; the next one asks for the rest. It bounds what the server and this
/// thread do in one go, as other caches' calls wait meanwhile.
pub const MAX_ASKED: usize = 512;

/// Gives a tag the token ARGV[1] (src/engine/value/record.rs). ARGV[2]: for how many milliseconds entries with the one
/// of before are of use to who takes stale values. ARGV[3]: how long a record lives. ARGV[4]: old tokens at most.
/// Servers before Redis 7 must be told that what it writes depends on the clock. A server without memory left can still
/// remove it.
const END_TEXT: &str = "if redis.replicate_commands then redis.replicate_commands() end \
    local old, left, time = redis.pcall('GET', KEYS[1]), redis.call('PTTL', KEYS[1]), redis.call('TIME') \
    local new = '\"' .. ARGV[1] .. '@' .. string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000)) \
    local token = type(old) == 'string' and string.match(old, '^\"(%x+)') \
    if token and tonumber(ARGV[2]) > 0 then \
      new = new .. ';' .. token .. '+0/' .. ARGV[2] \
      local since, count = math.max(tonumber(ARGV[3]) - left, 0), 1 \
      for was, age, life in string.gmatch(old, ';(%x+)%+(%d+)/(%d+)') do \
        age = age + since \
        if count < tonumber(ARGV[4]) and age < tonumber(life) then \
          new = new .. ';' .. was .. '+' .. string.format('%.0f', age) .. '/' .. life \
          count = count + 1 end end end \
    if redis.pcall('SET', KEYS[1], new .. '\"', 'PX', ARGV[3]).err then redis.call('DEL', KEYS[1]) end \
    return old and 1 or 0";

static END: Lazy<Script> = Lazy::new(|| Script::new(END_TEXT));

/// What was asked for.
#[derive(Default)]
pub struct Asked {
    keys: Vec<String>,
    /// Still to be asked for, and what was known or the pipelines before this one brought.
    rest: Vec<String>,
    tokens: Tokens,
    /// Of each, should the near cache keep its token.
    tickets: Vec<Option<u64>>,
    /// Of each, whether a sweep is about to remove it: it was removed first where tokens are made, and is no token
    /// elsewhere.
    covered: Vec<bool>,
    /// Those removals, until they are answered.
    removals: Vec<Removal>,
    denied: Denied,
    /// Whether tokens are made where there are none.
    make: bool,
    sent: u64,
    /// Which sweeps had their place before that: see tier/spared.rs.
    planned: u64,
}

/// The tags of a batch whose tokens must be known before it is planned: the stored keys of those that are not, and the
/// tokens that are.
pub fn wanted(cache: &Cache, batch: &Batch, now: u64) -> (Vec<String>, Tokens) {
    let asks = |op: &Op| matches!(op, Op::TagTime { .. });
    if batch.extras.is_empty() && !batch.ops.iter().any(asks) {
        return (Vec::new(), Tokens::new());
    }
    let mut keys = Missing::new(cache, now);
    let mut last = None;
    for op in &batch.ops {
        if let Op::TagTime { key } = op {
            keys.look(batch.str(*key).strip_prefix(key::TAG).unwrap_or_default(), |_| false);
            continue;
        }
        if let Op::End { more, .. } = op {
            // The others were asked for when its computation began.
            batch.more(*more).named.iter().for_each(|name| keys.look(name, |_| false));
            continue;
        }
        let (Op::Set { more, .. } | Op::SetIfAbsent { more, .. } | Op::Begin { more, .. }) = op else { continue };
        // Calls of a group have the same options.
        if *more == last {
            continue;
        }
        last = *more;
        for name in &batch.more(*more).tags {
            keys.look(name, |_| false);
        }
    }
    keys.into_both()
}

/// Gathers the tags whose tokens the near cache does not have. Each is looked up once, however many entries have it.
pub struct Missing<'a> {
    cache: &'a Cache,
    now: u64,
    seen: HashSet<String>,
    keys: Vec<String>,
    /// Those that it has.
    found: Tokens,
}

impl<'a> Missing<'a> {
    pub fn new(cache: &'a Cache, now: u64) -> Self {
        Self { cache, now, seen: HashSet::new(), keys: Vec::new(), found: Tokens::new() }
    }

    /// `known`: whether the token at a stored key is known otherwise.
    pub fn look(&mut self, name: &str, known: impl Fn(&str) -> bool) {
        if self.seen.contains(name) {
            return;
        }
        let key = tags::key(&self.cache.prefix, name);
        if !known(&key) {
            match self.cache.near_token(&key, self.now) {
                Some(token) => _ = self.found.insert(key.into(), token),
                None => self.keys.push(key),
            }
        }
        self.seen.insert(name.to_owned());
    }

    /// The stored keys of those that it does not have, and the tokens of the others: these may leave the near cache
    /// while the rest is asked for.
    pub fn into_both(self) -> (Vec<String>, Tokens) {
        (self.keys, self.found)
    }
}

/// The commands that ask for the tokens `(keys, known)` that are not known, or for the first of them.
pub fn ask(
    server: &Server,
    cache: &Cache,
    (keys, known): (Vec<String>, Tokens),
    make: bool,
    denied: Denied,
    now: u64,
) -> (Pipeline, Asked) {
    let first = Asked { tokens: known, make, denied, ..Asked::default() };
    ask_more(server, cache, first, keys, now)
}

/// The next pipeline of what `asked` began.
fn ask_more(server: &Server, cache: &Cache, asked: Asked, mut keys: Vec<String>, now: u64) -> (Pipeline, Asked) {
    let Asked { make, denied, tokens, .. } = asked;
    let rest = keys.split_off(keys.len().min(MAX_ASKED));
    let mut pipeline = Pipeline::with_capacity(keys.len() * 3);
    let tickets = keys.iter().map(|key| server.near.reserve(key)).collect();
    let mut covered = Vec::with_capacity(keys.len());
    let mut removals = Vec::new();
    for key in &keys {
        let journal = &server.journal;
        covered.push(match make.then(|| journal.uncover(key)) {
            None => journal.covers(key),
            Some(Covered::No) => false,
            Some(Covered::Excepted(removal) | Covered::Still(removal)) => {
                removals.push(removal);
                true
            }
        });
        if make && covered.last() == Some(&true) {
            pipeline.cmd(writes::remove(denied)).arg(key);
        }
        if make {
            pipeline
                .cmd("SET")
                .arg(key)
                .arg(&*tags::new_token(&cache.shared().random))
                .arg("NX")
                .arg("PX")
                .arg(millis(LIFE));
        }
        pipeline.cmd("GET").arg(key);
        pipeline.cmd("PTTL").arg(key);
    }
    let planned = cache.shared().sparing.moment();
    (pipeline, Asked { keys, rest, tokens, tickets, covered, removals, denied, make, sent: now, planned })
}

/// How far the asking has come.
pub enum Heard {
    /// The tokens that there are.
    All(Tokens),
    /// There is more to ask for.
    More(Pipeline, Box<Asked>),
}

impl Asked {
    /// A record as this process keeps it. `ms`: what is left of its life. It was read between `sent` and `now`.
    fn anchored(&self, record: Json, ms: Option<u64>, now: u64) -> Json {
        match ms {
            Some(ms) => {
                let age = i64::try_from(millis(LIFE).saturating_sub(ms)).unwrap_or(i64::MAX);
                let sent = i64::try_from(self.sent).unwrap_or(i64::MAX);
                // Whole milliseconds, on both sides.
                let trip = now.saturating_sub(self.sent).saturating_add(2);
                Json::of(record::anchored(record.as_str(), sent.saturating_sub(age), trip))
            }
            None => record,
        }
    }

    /// What this pipeline brought, and commands that let tokens live on.
    pub fn heard(
        mut self,
        cache: &Cache,
        server: &Arc<Server>,
        values: Vec<Value>,
        now: u64,
    ) -> Result<(Heard, Pipeline), Trouble> {
        let mut tokens = std::mem::take(&mut self.tokens);
        let mut renewals = Pipeline::new();
        let mut values = values.into_iter();
        let keys = std::mem::take(&mut self.keys).into_iter();
        let (tickets, covers) = (std::mem::take(&mut self.tickets), std::mem::take(&mut self.covered));
        for ((key, ticket), covered) in keys.zip(tickets).zip(covers) {
            let Server { near, journal, .. } = &**server;
            if self.make && covered {
                check(cache, server, values.next())?;
            }
            if self.make && matches!(check(cache, server, values.next())?, Some(Value::Okay)) {
                journal.replaced(&key);
            }
            let token = match check(cache, server, values.next())? {
                // The server refused to remove it: who asked for that must not meet it again.
                Some(Value::BulkString(_)) if journal.holds(&key) && !mutant::lacks("token") => None,
                Some(Value::BulkString(bytes)) if self.make || !covered => Json::checked(bytes),
                _ => None,
            };
            let ms = values.next().and_then(left);
            let token = token.map(|token| self.anchored(token, ms, now));
            match (&token, ms, ticket) {
                (Some(token), Some(ms), Some(ticket)) => {
                    let ttl = Ttl::Millis(ms.min(millis(DEFAULT_MAX_AGE)).max(1));
                    near.fill(&key, ticket, token.as_str(), None, ttl, self.sent);
                }
                (_, _, Some(ticket)) => near.forget(&key, ticket),
                _ => {}
            }
            let may_live = token.as_ref().is_some_and(|token| !record::is_soft(token.as_str()));
            if may_live && ms.is_some_and(|ms| ms < millis(LIFE) / 2) {
                renewals.add_command(pexpire(&key, millis(LIFE)));
            }
            if let Some(token) = token {
                if self.make {
                    cache.shared().stored(server, &key, self.planned);
                }
                tokens.insert(key.into(), token.as_str().into());
            }
        }
        // They have been answered.
        self.removals.clear();
        let heard = if self.rest.is_empty() {
            Heard::All(tokens)
        } else {
            let rest = std::mem::take(&mut self.rest);
            let (pipeline, asked) = ask_more(server, cache, Self { tokens, ..self }, rest, now);
            Heard::More(pipeline, Box::new(asked))
        };
        Ok((heard, renewals))
    }
}

/// Ends the tag at this stored key, and gives it this token; the reply is 1 where it had a token.
pub fn end(key: &str, token: &str, stale_ms: u64) -> Cmd {
    let mut command = END.call(true, &[key], token.trim_matches('"').as_bytes());
    command.arg(stale_ms).arg(millis(LIFE)).arg(record::MAX_OLD);
    command
}

/// Undoes what Redis has at a stored key. A tag's is not only removed: who stores what names it (record.rs) must learn
/// that it was ended, and when.
pub fn undo(pipeline: &mut Pipeline, key: &str, random: &Random, denied: Denied) {
    if key::is_tag(key) && !denied.scripts.is() && !mutant::lacks("undone") {
        pipeline.add_command(end(key, &tags::new_token(random), 0));
    } else {
        pipeline.cmd(writes::remove(denied)).arg(key);
    }
}

/// A reply, unless it is an error: one that concerns the whole connection ends it, another one leaves the tag without a
/// token.
fn check(cache: &Cache, server: &Server, value: Option<Value>) -> Result<Option<Value>, Trouble> {
    let Some(Value::ServerError(error)) = &value else { return Ok(value) };
    // It has moved: a miss, until it is asked for anew.
    if cache.shared().bounced(error, server).is_some() {
        return Ok(None);
    }
    let trouble = classify(error);
    refusals::met(cache, &trouble);
    if trouble.kind.is_outage() { Err(trouble) } else { Ok(None) }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
