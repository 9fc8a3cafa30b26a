//! Random commands from a seed on three connections, with faults of the server and keys that expire.

use crate::server::tests::pair::{Pair, words};
use crate::server::tests::scenes;
use crate::server::tests::words::{Dice, REST};
use crate::server::{Acl, Faults};

const CONNECTIONS: u64 = 3;
/// As many as fit into some seconds: most of the time goes into rests.
const STEPS: u64 = 1_500;

/// What may be wrong, what brings it about on a real server, and what ends it.
pub struct Fault(pub Faults, pub &'static str, pub &'static str);

pub fn faults() -> [Fault; 5] {
    let acl = Acl {
        denied: vec!["getrange", "client|tracking", "persist"],
        prefixes: vec![b"k".to_vec(), b"n".to_vec(), b"t".to_vec()],
    };
    let none = Faults::default;
    [
        Fault(Faults { oom: true, ..none() }, "CONFIG SET maxmemory 1", "CONFIG SET maxmemory 0"),
        Fault(
            Faults { misconf: true, ..none() },
            "CONFIG SET stop-writes-on-bgsave-error yes",
            "CONFIG SET stop-writes-on-bgsave-error no",
        ),
        Fault(
            Faults { noreplicas: true, ..none() },
            "CONFIG SET min-replicas-to-write 1",
            "CONFIG SET min-replicas-to-write 0",
        ),
        Fault(Faults { readonly: true, ..none() }, "REPLICAOF 127.0.0.1 1", "REPLICAOF NO ONE"),
        Fault(
            Faults { acl: Some(acl), ..none() },
            "ACL SETUSER default resetkeys ~k* ~n* ~t* -getrange -client|tracking -persist",
            "ACL SETUSER default ~* +@all",
        ),
    ]
}

fn greet(pair: &mut Pair, dice: &Dice, name: usize) {
    pair.connect(name);
    if dice.one_in(4) {
        return;
    }
    pair.send(name, &[words(&["HELLO", "3"])]);
    match dice.below(5) {
        0 => {}
        1 => pair.send(name, &[words(&["CLIENT", "TRACKING", "ON", "NOLOOP"])]),
        _ => pair.send(name, &[words(&["CLIENT", "TRACKING", "ON"])]),
    }
}

fn step(pair: &mut Pair, dice: &Dice, healing: &mut Option<&'static str>) {
    let name = dice.below(CONNECTIONS) as usize;
    if !pair.is_open(name) {
        greet(pair, dice, name);
    }
    match dice.below(100) {
        0 if dice.one_in(2) => greet(pair, dice, name),
        0 if !pair.is_queueing(name) => pair.send(name, &[words(&["HELLO", dice.of(&["2", "3"])])]),
        2 if healing.is_none() => {
            let all = faults();
            let Fault(faults, begin, end) = &all[dice.below(5) as usize];
            pair.faulty(faults.clone(), &[begin]);
            *healing = Some(end);
        }
        2..5 => {
            if let Some(end) = healing.take() {
                pair.faulty(Faults::default(), &[end]);
            }
        }
        5..10 => pair.foreign(&dice.foreign()),
        10..12 if !pair.is_queueing(name) => {
            let pattern = ["MATCH", dice.of(&["*", "k*", "k[01]", "nothing"])];
            pair.send(name, &[words(&["SCAN", "0", "COUNT", "1000", pattern[0], pattern[1]])]);
        }
        12..15 if !pair.is_queueing(name) => {
            pair.send(name, &[dice.command(true)]);
            pair.rest(REST);
        }
        15..28 if healing.is_none() && !pair.is_queueing(name) => scenes::play(pair, dice, name),
        15..45 => {
            let commands: Vec<_> = (0..2 + dice.below(4)).map(|_| dice.command(false)).collect();
            pair.send(name, &commands);
        }
        _ => pair.send(name, &[dice.command(false)]),
    }
}

fn run(seed: u64) {
    let mut pair = Pair::new(seed);
    let dice = Dice::new(seed);
    let mut healing = None;
    for _ in 0..STEPS {
        step(&mut pair, &dice, &mut healing);
    }
}

/// Another seed, for who looks for more: `HOLDFAST_SIM_SEED`.
fn seed(otherwise: u64) -> u64 {
    std::env::var("HOLDFAST_SIM_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(otherwise)
}

#[test]
fn the_model_says_what_the_real_server_says() {
    run(seed(1));
}

#[test]
fn and_so_it_does_from_another_seed() {
    run(seed(2));
}
