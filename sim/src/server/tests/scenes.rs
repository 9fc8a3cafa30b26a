//! Commands in an order that makes sense: what commands picked one by one seldom come to.

use holdfast::engine::base::clock::Ttl;
use holdfast::engine::base::key::Prefix;
use holdfast::engine::exchange::{expiry, writes};
use holdfast::engine::net::denied::Denied;
use holdfast::engine::once::lease;

use crate::server::Faults;
use crate::server::tests::pair::{Pair, Words, words};
use crate::server::tests::random::{Fault, faults};
use crate::server::tests::words::{Dice, LONG, of_cmd};

/// Plays one on a connection that queues nothing, while nothing is wrong with the server.
pub fn play(pair: &mut Pair, dice: &Dice, name: usize) {
    match dice.below(9) {
        0 | 1 => new_ttl(pair, dice, name),
        2 => refresh(pair, dice, name),
        3 => counter(pair, dice, name),
        4 => due(pair, dice, name),
        5 => kept_ttl(pair, dice, name),
        6 => due_on_a_replica(pair, dice, name),
        7 => denied_since(pair, dice, name),
        _ => kill(pair, dice, name),
    }
}

fn set(key: &str, value: Vec<u8>, more: &[&str]) -> Words {
    let mut command = words(&["SET", key]);
    command.push(value);
    command.extend(words(more));
    command
}

fn some_ttl(dice: &Dice) -> &'static [&'static str] {
    dice.of(&[&[][..], &["PX", LONG]])
}

/// An entry with a header and tags gets a new TTL.
fn new_ttl(pair: &mut Pair, dice: &Dice, name: usize) {
    let ttl = dice.of(&[Ttl::Forever, Ttl::Millis(400_000)]);
    let tokens = ["t:a", "t:b"].map(|tag| set(tag, dice.of(&["1", "2"]).into(), &[]));
    pair.send(name, &tokens);
    // A tag so long that the script reads the header in two steps.
    let long = ["x".repeat(5_000), "t:".to_owned() + &"x".repeat(5_000)];
    let header = [&b"\xFF\x01\x00\x04\x01\x88\x13"[..], long[0].as_bytes(), b"\x011payload"].concat();
    let cut = dice.of(&[0, 0, 9, 4_000]);
    pair.send(name, &[set(&long[1], b"1".to_vec(), &["PX", LONG])]);
    for turn in 0..6 {
        let mut expire = of_cmd(&expiry::expire(true, &Prefix::new(""), "k0", ttl));
        expire[4] = dice.of(&[b"400000", b"300000"]).to_vec();
        expire[5] = b"t:".to_vec();
        let value = if turn == 0 { header[..header.len() - cut].to_vec() } else { dice.headed() };
        let mut entry = set("k0", value, &[]);
        entry.extend(words(some_ttl(dice)));
        pair.send(name, &[entry, expire, words(&["PTTL", "k0"])]);
    }
    pair.send(name, &[words(&["DEL", &long[1]])]);
}

/// A stale entry is replaced under its lock, also by a server that is full.
fn refresh(pair: &mut Pair, dice: &Dice, name: usize) {
    let (holder, value) = (dice.holder(), dice.headed());
    let identity = value.get(..3).unwrap_or_default().to_vec();
    let take = of_cmd(&lease::take(true, "k0", "lock", &identity, holder));
    pair.send(name, &[words(&["DEL", "lock"]), set("k0", value.clone(), &[]), take]);
    let lock = set("lock", dice.holder().marker(), &[]);
    pair.send(name, &[lock, words(&["MGET", "lock", "k0"])]);
    let full = dice.one_in(2);
    if full {
        pair.faulty(Faults { oom: true, ..Faults::default() }, &["CONFIG SET maxmemory 1"]);
    }
    let replace = lease::replace("k0", "lock", &identity, &holder.marker(), &value, Ttl::Forever);
    pair.send(name, &[of_cmd(&replace), words(&["MGET", "lock", "k0"])]);
    if full {
        pair.faulty(Faults::default(), &["CONFIG SET maxmemory 0"]);
    }
}

/// A counter keeps its TTL; a sum that is too large is taken back.
fn counter(pair: &mut Pair, dice: &Dice, name: usize) {
    let sum = dice.of(&["5", "9007199254740991", "9007199254740993", "-9007199254740994", " 9e17", "9e17", "x"]);
    let back = of_cmd(&writes::take_back("n", dice.of(&[1, -1]), Denied::default()));
    let mut first = set("n", sum.into(), &[]);
    first.extend(words(some_ttl(dice)));
    let all =
        [first, words(&["INCRBY", "n", "2"]), words(&["PTTL", "n"]), back, words(&["GET", "n"]), words(&["TTL", "n"])];
    pair.send(name, &all);
}

/// A key is due, and whoever read it is told when it is touched.
fn due(pair: &mut Pair, dice: &Dice, name: usize) {
    let reads = words(&["MGET", "k0", "k1"]);
    pair.send(name, &[words(&["DEL", "k0"]), reads.clone()]);
    for other in [0, 1, 2] {
        if pair.is_open(other) && !pair.is_queueing(other) {
            pair.send(other, std::slice::from_ref(&reads));
        }
    }
    // Read by its writer in the same piece: it is not due by then, or on both sides.
    pair.send(name, &[set("k0", b"1".to_vec(), &["PX", "50"]), reads]);
    pair.rest(60);
    let touches: [&[&str]; 9] = [
        &["DEL", "k0", "k1"],
        &["SCAN", "0", "COUNT", "1000", "MATCH", "k*"],
        &["SET", "k0", "2", "NX"],
        &["SET", "k0", "2", "XX"],
        &["PEXPIRE", "k0", LONG],
        &["PERSIST", "k0"],
        &["INCRBY", "k0", "1"],
        &["EXISTS", "k0"],
        &["DBSIZE"],
    ];
    pair.send(name, &[words(dice.of(&touches)), words(&["PTTL", "k0"]), words(&["DBSIZE"])]);
}

/// Times to live are kept, taken away, and compared.
fn kept_ttl(pair: &mut Pair, dice: &Dice, name: usize) {
    let mut first = set("k1", b"1".to_vec(), &[]);
    first.extend(words(some_ttl(dice)));
    let mut second = set("k1", b"2".to_vec(), &[]);
    second.extend(words(dice.of(&[&["KEEPTTL"][..], &[], &["XX", "KEEPTTL"]])));
    let time = dice.of(&["200000", "400000", "-1", "0"]);
    let expire = words(&["PEXPIRE", "k1", time, dice.of(&["NX", "XX", "GT", "LT"])]);
    pair.send(name, &[words(&["GET", "k1"]), first, second, words(&["PTTL", "k1"]), expire, words(&["PTTL", "k1"])]);
}

/// A replica leaves it to its master to delete what is due.
fn due_on_a_replica(pair: &mut Pair, dice: &Dice, name: usize) {
    let Fault(faults, begin, end) = &faults()[3];
    pair.send(name, &[set("k0", b"1".to_vec(), &["PX", "60"]), words(&["GET", "k0"])]);
    pair.faulty(faults.clone(), &[begin]);
    pair.rest(70);
    pair.send(name, &[words(&["GET", "k0"]), words(&["DBSIZE"]), words(&["SCAN", "0", "COUNT", "1000"])]);
    pair.faulty(Faults::default(), &[end]);
    pair.send(name, &[words(&[dice.of(&["GET", "PTTL"]), "k0"]), words(&["DBSIZE"])]);
}

/// An ACL changes between a command of a transaction and its EXEC.
fn denied_since(pair: &mut Pair, dice: &Dice, name: usize) {
    let Fault(faults, begin, end) = &faults()[4];
    let queued = [&["MULTI"][..], &["GET", "lock"], &["PERSIST", "k0"], &["SET", "k0", "1"]].map(words);
    pair.send(name, &queued);
    pair.faulty(faults.clone(), &[begin]);
    pair.send(name, &[words(&[dice.of(&["EXEC", "DISCARD"])])]);
    pair.faulty(Faults::default(), &[end]);
}

fn kill(pair: &mut Pair, dice: &Dice, name: usize) {
    let victim = pair.number(dice.of(&[name, name, 0, 1, 2])).unwrap_or(1).to_string();
    let mut command = words(&["CLIENT", "KILL", "ID", &victim]);
    command.extend(words(dice.of(&[&["SKIPME", "yes"][..], &["SKIPME", "no"], &[], &["TYPE", "pubsub"]])));
    pair.send(name, &[command]);
}
