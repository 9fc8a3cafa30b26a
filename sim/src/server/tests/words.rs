//! Random commands: those that the engine sends, in any order, with right and wrong words.

use std::cell::Cell;

use holdfast::engine::base::clock::Ttl;
use holdfast::engine::base::key::Prefix;
use holdfast::engine::base::random::Random;
use holdfast::engine::exchange::{expiry, writes};
use holdfast::engine::net::denied::Denied;
use holdfast::engine::once::lease::{self, Holder};
use redis::{Arg, Cmd};

use crate::server::PROBE;
use crate::server::tests::pair::{Words, words};

/// Long enough that nothing is due while the test runs, in milliseconds.
pub const LONG: &str = "300400";
/// So short that it is due after a rest of [`REST`].
const BRIEF: &str = "4";
pub const REST: u64 = 10;

pub struct Dice {
    random: Random,
    /// Times to live are compared: each of these is a second less than the one before.
    less: Cell<u64>,
}

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self { random: Random::seeded(seed), less: Cell::new(0) }
    }

    pub fn below(&self, most: u64) -> u64 {
        self.random.bits() % most
    }

    pub fn one_in(&self, count: u64) -> bool {
        self.below(count) == 0
    }

    pub fn of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).expect("small")]
    }

    fn key(&self) -> &'static str {
        self.of(&["k0", "k0", "k1", "k1", "k2", "n", "n", "h", "t:a", "t:b", "lock"])
    }

    fn some_keys(&self) -> Vec<&'static str> {
        (0..=self.below(3)).map(|_| self.key()).collect()
    }

    fn ms(&self, brief: bool) -> &'static str {
        if brief { BRIEF } else { LONG }
    }

    fn ttl(&self, brief: bool) -> Ttl {
        if self.one_in(4) { Ttl::Forever } else { Ttl::Millis(self.ms(brief).parse().expect("a number")) }
    }

    /// What may lie at a key: plain, a counter, a marker, an entry with a header, whole or cut.
    fn value(&self) -> Vec<u8> {
        match self.below(9) {
            0 => b"".to_vec(),
            1 | 2 => self.of(&["1", "2", "9223372036854775806", "-7"]).as_bytes().to_vec(),
            3 => b"\"text\"".to_vec(),
            4 | 5 => self.holder().marker(),
            _ => self.headed(),
        }
    }

    pub fn holder(&self) -> Holder {
        Holder { engine: 7, token: u32::try_from(self.below(2)).expect("small") }
    }

    /// As src/engine/value/entry.rs lays it out.
    pub fn headed(&self) -> Vec<u8> {
        let flags = u8::try_from(self.below(9)).expect("small");
        let mut bytes =
            vec![0xFF, if self.one_in(12) { 2 } else { 1 }, u8::try_from(self.below(4)).expect("small"), flags];
        if flags & 2 != 0 {
            bytes.extend(1u64.to_le_bytes());
            bytes.extend(self.of(&[0u64, 60_000, 1_000_000, u64::MAX]).to_le_bytes());
            bytes.extend(5u32.to_le_bytes());
        }
        if flags & 1 != 0 {
            bytes.extend(9u32.to_le_bytes());
        }
        if flags & 4 != 0 {
            let tags = self.below(3);
            bytes.push(u8::try_from(tags).expect("small"));
            for _ in 0..tags {
                bytes.extend(1u16.to_le_bytes());
                bytes.extend(self.of(&["a", "b"]).as_bytes());
                let token = self.of(&["1", "2", "\"text\""]);
                bytes.push(u8::try_from(token.len()).expect("small"));
                bytes.extend(token.as_bytes());
            }
            if self.one_in(40) {
                // Longer than what is read of it at first.
                bytes[4 + if flags & 2 != 0 { 20 } else { 0 } + if flags & 1 != 0 { 4 } else { 0 }] += 1;
                bytes.extend(5_000u16.to_le_bytes());
                bytes.extend([b'x'; 5_000]);
                bytes.extend(*b"\x011");
            }
        }
        bytes.extend(b"payload");
        if self.one_in(8) {
            bytes.truncate(usize::try_from(self.below(bytes.len() as u64)).expect("small"));
        }
        bytes
    }

    /// A command, that may let something be due soon where `brief`.
    pub fn command(&self, brief: bool) -> Words {
        let key = self.key();
        let number = self.of(&["1", "2", "-3", "x", "9223372036854775807", "01"]);
        match self.below(44) {
            0..5 => words(&["GET", key]),
            5..8 => words(&[vec!["MGET"], self.some_keys()].concat()),
            8..14 => self.set(key, brief),
            14 => words(&[vec!["DEL"], self.some_keys()].concat()),
            15 => words(&[vec!["UNLINK"], self.some_keys()].concat()),
            16 => words(&[vec!["EXISTS"], self.some_keys()].concat()),
            17 => words(&[self.of(&["PTTL", "TTL", "STRLEN", "PERSIST", "GETDEL", "GETDEL"]), key]),
            18 => words(&["PTTL", key]),
            19 | 20 => words(&["PEXPIRE", key, self.ms(brief)]),
            21 => self.expire(key),
            22 | 23 => words(&["INCRBY", self.of(&["n", "n", "n", "k0", "h"]), self.of(&["1", "2", number])]),
            24 => words(&["GETRANGE", key, self.of(&["0", "-3", "1", "x"]), self.of(&["0", "3", "-1", "-9", "100"])]),
            25 => words(&["MULTI"]),
            26 | 27 => words(&["EXEC"]),
            28 => words(&[self.of(&["DISCARD", "EXEC"])]),
            29 => words(&[self.of(&["PING", "ping", "DBSIZE", "FLUSHDB", "flushall"])]),
            30 => words(&["CLIENT", "TRACKING", self.of(&["ON", "ON", "on", "OFF", "x"])]),
            31 => self.greeting(),
            32 => self.wrong(key),
            33 => words(&["SCRIPT", "EXISTS", "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"]),
            34 => words(&["SCRIPT", self.of(&["FLUSH", "EXISTS", "x"])]),
            35 => words(&["EVAL", "return 1", self.of(&["0", "1", "-1", "x"])]),
            _ => self.script(brief),
        }
    }

    fn set(&self, key: &str, brief: bool) -> Words {
        let mut command = words(&["SET", key]);
        command.push(self.value());
        if self.one_in(2) {
            command.extend(words(&["PX", self.ms(brief)]));
        } else if self.one_in(3) {
            command.extend(words(self.of(&[&["EX", "300"][..], &["KEEPTTL"], &["PX", "0"], &["EX", "x"], &["PX"]])));
        }
        if self.one_in(3) {
            command.extend(words(&[self.of(&["NX", "XX", "GET", "nx"])]));
        }
        command
    }

    fn expire(&self, key: &str) -> Words {
        self.less.set((self.less.get() + 1) % 500);
        let less = (900_000 - self.less.get() * 1_000).to_string();
        let mut command = words(&match self.below(5) {
            0 => ["EXPIRE", key, self.of(&["300", "-1", "9223372036854775807"])],
            1 => ["PEXPIREAT", key, self.of(&["1", "x"])],
            2 => ["EXPIREAT", key, self.of(&["0", "-1"])],
            _ => ["PEXPIRE", key, self.of(&["0", "-9", &less, &less, &less, "x", "9223372036854775807"])],
        });
        if self.one_in(2) {
            command.extend(words(&[self.of(&["NX", "XX", "GT", "LT", "x"])]));
        }
        command
    }

    fn greeting(&self) -> Words {
        words(self.of(&[
            &["HELLO"][..],
            &["HELLO", "4"],
            &["HELLO", "x"],
            &["HELLO", "3", "SETNAME", "a b"],
            &["HELLO", "3", "AUTH", "nobody", "x"],
            &["AUTH", "x"],
            &["SELECT", "0"],
            &["SELECT", "16"],
            &["CLIENT", "ID"],
            &["CLIENT", "SETNAME", "holdfast"],
            &["CLIENT", "GETNAME"],
            &["CLIENT", "SETINFO", "LIB-NAME", "holdfast"],
            &["CLIENT", "NO-EVICT", "ON"],
            &["CLIENT", "KILL", "ID", "99999999"],
            &["CLIENT", "KILL", "ID", "0"],
        ]))
    }

    fn wrong(&self, key: &str) -> Words {
        words(self.of(&[
            &["GET"][..],
            &["NOTHING", "a\r\nb", key],
            &["CLIENT"],
            &["SCAN", "x"],
            &["SCAN", "0", "COUNT", "0"],
            &["SCAN", "0", "MATCH"],
            &["FLUSHALL", "x"],
            &["PING", "a", "b"],
            &["HSET", "h", "a"],
            &["HSET", "h", "a", "1"],
            &["HSET", "k0", "a", "1", "b"],
            &["EVALSHA", "abc", "0"],
        ]))
    }

    fn script(&self, brief: bool) -> Words {
        let by_text = self.one_in(2);
        let (key, holder, ttl) = (self.key(), self.holder(), self.ttl(brief));
        let (value, marker) = (self.value(), self.holder().marker());
        let identity = if self.one_in(2) { value.get(..self.below(5) as usize).unwrap_or_default() } else { b"\"t" };
        let mut command = match self.below(10) {
            0..2 => lease::acquire(by_text, key, holder, identity),
            2..4 => lease::store(key, &marker, &value, ttl),
            4 => lease::renew(by_text, key, holder),
            5 => lease::replace(key, "lock", identity, &marker, &value, ttl),
            6 => lease::take(by_text, key, "lock", identity, holder),
            7 => return self.other_script(key),
            _ => expiry::expire(by_text, &Prefix::new(""), key, ttl),
        };
        if self.one_in(20) {
            command = lease::release(key, holder);
        }
        let mut words = of_cmd(&command);
        // The engine's own times are too short for a test, and its tags' keys are longer.
        for word in &mut words {
            if word == b"3000" {
                *word = self.ms(brief).as_bytes().to_vec();
            } else if word == b"\0tag\0" {
                *word = b"t:".to_vec();
            }
        }
        words
    }

    fn other_script(&self, key: &str) -> Words {
        let mut probes = redis::pipe();
        lease::probe(&mut probes, key);
        let probes: Vec<_> = probes.cmd_iter().collect();
        match self.below(5) {
            0 => words(&["EVAL", PROBE, "1", key]),
            1 => of_cmd(&writes::take_back(key, -1, Denied::default())),
            _ => of_cmd(self.of(&probes)),
        }
    }

    /// What a client does that knows nothing of the engine.
    pub fn foreign(&self) -> Words {
        let key = self.key();
        match self.below(8) {
            0 => words(&[self.of(&["FLUSHALL", "FLUSHDB"])]),
            1 => words(&["HSET", "h", "a", self.of(&["1", "2"])]),
            2 | 3 => words(&["DEL", key, "h"]),
            4 => words(&["EVAL", PROBE, "1", key]),
            5 => words(&["MGET", key, "k0"]),
            6 => words(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]),
            _ => self.set(key, false),
        }
    }
}

pub fn of_cmd(command: &Cmd) -> Words {
    command.args_iter().map(|arg| if let Arg::Simple(word) = arg { word.to_vec() } else { Vec::new() }).collect()
}
