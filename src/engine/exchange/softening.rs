//! A soft end: an entry that is only of use to who takes stale values.
//!
//! **The problem.** What changed makes an entry wrong, and to delete it makes everybody wait who asks next. Who calls
//! `getOrCompute` with `swr` or `grace` would rather have the old value once more while the new one is computed, and
//! everybody else must not have it at all.
//!
//! **The approach.** That is what an entry with grace is when its TTL is over (src/engine/value/life.rs): so its TTL is
//! made to be over. One script gives the entry a life beyond its TTL of so many milliseconds, and the key that expiry.
//! An entry without a life gets the header that it lacks, at its place in front of the payload. The nonce is a new one:
//! a refresh that began before stores over nothing, as behind a delete. No clock but the one that expires the key takes
//! part.
//!
//! **Where it is a delete.** A computation's marker is removed, as by `del`: what it computes began before. So is what
//! nobody understands, and an integer of `structured`, whose payload is never text. Where scripts are denied, in an
//! outage, and where what lies at the key is not to be trusted, the whole of it is a delete: nobody is shown less than
//! the truth, some wait.
//!
//! **Rejected.** *A second key that says that the entry is stale*: the two expire and are evicted apart, and every read
//! would have to ask for both. *To read, mark and store in a second trip*: another process may have written meanwhile.

use once_cell::sync::Lazy;
use redis::Cmd;

use crate::engine::cache::namespace::Cache;
use crate::engine::once::lease::Script;
use crate::engine::value::entry;

/// Makes what lies at KEYS[1] stale, for ARGV[1] milliseconds at most; 1 where something lay there. ARGV[2]: the nonce.
/// ARGV[3]: the header of a plain value, up to its life; empty where a plain value cannot have one. The entry's layout
/// is that of src/engine/value/entry.rs; numbers in it have the least byte first.
const TEXT: &str = "local left = redis.call('PTTL', KEYS[1]) \
    if left == -2 then return 0 end \
    local stale = math.max(tonumber(ARGV[1]), 1) \
    if left ~= -1 and left < stale then stale = math.max(left, 1) end \
    local px = string.format('%.0f', stale) \
    local head = redis.pcall('GETRANGE', KEYS[1], 0, 23) \
    local first, version, codec, flags \
    if type(head) == 'string' then first, version, codec, flags = string.byte(head, 1, 4) else first = 254 end \
    local function life(extra) local bytes = ARGV[2] \
      for i = 1, 8 do bytes = bytes .. string.char(extra % 256) extra = math.floor(extra / 256) end return bytes end \
    local function store(parts) redis.call('SET', KEYS[1], table.concat(parts), 'PX', px) return 1 end \
    if first == 255 and version == 1 and flags and flags < 8 then \
      if math.floor(flags / 2) % 2 == 0 then \
        local v = redis.call('GET', KEYS[1]) \
        local start = string.sub(v, 1, 3) .. string.char(flags + 2) \
        return store({start, life(stale), '\\0\\0\\0\\0', string.sub(v, 5)}) end \
      if #head == 24 then \
        local extra = 0 \
        for i = 20, 13, -1 do extra = extra * 256 + string.byte(head, i) end \
        local age = 0 \
        if left ~= -1 and left < extra then age = extra - left end \
        redis.call('SETRANGE', KEYS[1], 4, life(age + stale)) \
        redis.call('PEXPIRE', KEYS[1], px) \
        return 1 end end \
    if first == 254 or first == 255 or ARGV[3] == '' then return redis.call('DEL', KEYS[1]) end \
    return store({ARGV[3], life(stale), '\\0\\0\\0\\0', redis.call('GET', KEYS[1])})";

static SOFTEN: Lazy<Script> = Lazy::new(|| Script::new(TEXT));

/// Makes what lies at the stored key stale; the reply is 1 where something did. By its text: a call that is answered
/// behind others cannot be sent a second time.
pub fn soften(cache: &Cache, key: &str, stale_ms: u64) -> Cmd {
    let mut command = SOFTEN.call(true, &[key], stale_ms.to_string().as_bytes());
    let nonce = cache.shared().random.bits().to_le_bytes();
    command.arg(&nonce[..]).arg(entry::life_of_plain(cache.format.codec));
    command
}
