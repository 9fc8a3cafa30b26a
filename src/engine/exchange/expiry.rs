//! A new TTL for an entry, and `setIfAbsent`: decided where the entry lies.
//!
//! **The problem.** `expire` is for what a caller would find: not for the marker of a computation, nor for an entry
//! that is stale, or that a tag made a miss. Whether it is one is not known before it is read, and by the time that a
//! second trip sets the TTL, or takes it back, another process may have written: its value would live for as long as
//! the old one.
//!
//! **The approach.** One script reads what lies there and decides as [`super::life`] and [`super::tags`] do. It needs
//! the tokens of the entry's tags, whose names stand in the entry, so they are no keys that the script could be called
//! with: on a single server it may read them all the same.
//!
//! **On a cluster** the tokens lie on other servers. The entry is read first, and where it is a value for a caller a
//! second script gives it its TTL, if it still begins as it did: what was written in between keeps its own, as if
//! `expire` had come a little sooner.
//!
//! **`setIfAbsent`** asks the same: is there a value for a caller? SET with NX would take a remainder for one. It has
//! to be done at its place among the calls, and not in a second trip: what its caller asks behind it is to find the
//! value. So on a cluster, where its script cannot ask for tokens, an entry with tags counts as a value until it is
//! over; and where scripts are denied, whatever lies there does. So does what is in the journal: a write in front of
//! this one may have replaced it, and not be confirmed yet.
//!
//! **Where scripts are denied** the second step of `expire` is a command that asks for nothing: what is written in
//! between gets the new TTL. It is never set first and taken back.

use once_cell::sync::Lazy;
use redis::Cmd;

use crate::engine::base::clock::Ttl;
use crate::engine::base::key;
use crate::engine::base::key::Prefix;
use crate::engine::once::lease::Script;
use crate::engine::value::entry;

/// What the scripts below have in common: `left`, the time left of what lies at KEYS[1], -2 for nothing, and `more`, so
/// much longer it lives than its value; false where it is no value. ARGV[2]: what stands in front of a tag's name at
/// its token's key; an empty one: tags are taken to stand. ARGV[3]: how long a header may be. The entry's layout is
/// that of src/engine/value/entry.rs; numbers in it have the least byte first.
macro_rules! judged {
    () => {
        "local left = redis.call('PTTL', KEYS[1]) \
    local function current(name) local record = redis.pcall('GET', ARGV[2] .. name) \
      return type(record) == 'string' and (string.gsub(record, '@.*', '\"')) end \
    local function extra(most) \
      local v = redis.pcall('GETRANGE', KEYS[1], 0, most - 1) \
      if type(v) ~= 'string' then return 0 end \
      local first, version, codec, flags = string.byte(v, 1, 4) \
      if first == 254 then return false end \
      if first ~= 255 then return 0 end \
      if version ~= 1 or not flags or codec > 3 or flags > 7 then return false end \
      local at, cut = 5, nil \
      if #v < most then cut = false end \
      local function number(bytes) local n = 0 \
        for i = bytes - 1, 0, -1 do n = n * 256 + (string.byte(v, at + i) or 0) end at = at + bytes return n end \
      local function text(bytes) at = at + bytes return string.sub(v, at - bytes, at - 1) end \
      local more = 0 \
      if math.floor(flags / 2) % 2 == 1 then number(8) more = number(8) number(4) end \
      if flags % 2 == 1 then number(4) end \
      if flags >= 4 then for i = 1, number(1) do \
        local name = text(number(2)) local token = text(number(1)) \
        if at > #v + 1 then return cut end \
        if ARGV[2] ~= '' and current(name) ~= token then return false end end end \
      if at > #v + 1 then return cut end \
      return more end \
    local most, more = 4096, false \
    if left ~= -2 then more = extra(most) end \
    while more == nil and most < tonumber(ARGV[3]) do most = most * 16 more = extra(most) end \
    if more and left ~= -1 and more > 0 and left <= more then more = false end "
    };
}

/// Gives what lies at KEYS[1] ARGV[1] milliseconds (0: for ever), if it is a value for a caller; whether it is.
const TEXT: &str = concat!(
    judged!(),
    "if not more then return 0 end \
    if ARGV[1] == '0' then redis.call('PERSIST', KEYS[1]) \
    else redis.call('PEXPIRE', KEYS[1], string.format('%.0f', tonumber(ARGV[1]) + more)) end \
    return 1"
);

/// Stores ARGV[4] at KEYS[1] for ARGV[1] milliseconds (0: for ever), unless a value for a caller lies there; whether it
/// did.
const ABSENT_TEXT: &str = concat!(
    judged!(),
    "if more then return 0 end \
    if ARGV[1] == '0' then redis.call('SET', KEYS[1], ARGV[4]) else redis.call('SET', KEYS[1], ARGV[4], 'PX', ARGV[1]) end \
    return 1"
);

/// Gives what lies at KEYS[1] ARGV[2] milliseconds (0: for ever), if it begins with ARGV[1].
const SAME_TEXT: &str = "if redis.call('GETRANGE', KEYS[1], 0, #ARGV[1] - 1) ~= ARGV[1] then return 0 end \
    if ARGV[2] == '0' then redis.call('PERSIST', KEYS[1]) else redis.call('PEXPIRE', KEYS[1], ARGV[2]) end \
    return 1";

static SAME: Lazy<Script> = Lazy::new(|| Script::new(SAME_TEXT));
static EXPIRE: Lazy<Script> = Lazy::new(|| Script::new(TEXT));
static ABSENT: Lazy<Script> = Lazy::new(|| Script::new(ABSENT_TEXT));

/// Gives the entry at the stored key a new TTL; the reply is 1 where there was a value for a caller. `by_text`: for a
/// server that may not have the script.
pub fn expire(by_text: bool, prefix: &Prefix, key: &str, ttl: Ttl) -> Cmd {
    let ms = ttl.px().unwrap_or(0);
    let mut command = EXPIRE.call(by_text, &[key], ms.to_string().as_bytes());
    command.arg([prefix.as_str(), key::TAG].concat()).arg(entry::LONGEST_HEADER);
    command
}

/// Gives the entry at the stored key a new TTL, and `extra` milliseconds beyond it, if it still begins with `head`. By
/// its text, as a call that is answered behind others cannot be sent a second time.
pub fn expire_same(key: &str, head: &[u8], ttl: Ttl, extra: u64) -> Cmd {
    let mut command = SAME.call(true, &[key], head);
    command.arg(ttl.px().map_or(0, |ms| ms.saturating_add(extra)));
    command
}

/// Stores a value where there is none; the reply is 1 where it did. `tags_stand`: whether those of what lies there have
/// ended cannot be asked. By its text: a call that is answered behind others cannot be sent a second time.
pub fn set_if_absent(prefix: &Prefix, (key, value, ttl): (&str, &[u8], Ttl), tags_stand: bool) -> Cmd {
    let mut command = ABSENT.call(true, &[key], ttl.px().unwrap_or(0).to_string().as_bytes());
    let tags = if tags_stand { String::new() } else { [prefix.as_str(), key::TAG].concat() };
    command.arg(tags).arg(entry::LONGEST_HEADER).arg(value);
    command
}
