//! A primary, its replica, and the sentinels that name it: who is dialled where, and what a failover is.
//!
//! The replica that takes over has what its primary had when the failover began, so what was written since is lost.
//! Each sentinel hears of it in its own time, and sends whoever asks to the old one until then. That one comes back as
//! a replica, with what it had; in some schedules one that takes writes.

use crate::history::{MILLI, Mishap, Nanos};
use crate::world::fleet::machine::{HEARING, LATE, LATE_ONE_IN, Machine, VACANT};
use crate::world::network::between;
use crate::world::{Event, World};

const SERVERS: usize = 2;
const SENTINELS: usize = 3;
const SERVER_PORT: u16 = 6_380;
const SENTINEL_PORT: u16 = 26_379;
/// Where the processes are told to ask.
pub const URL: &str = "redis+sentinel://s:26379,s:26380,s:26381/main";
/// In how many schedules a replica takes writes, one in so many.
const WRITABLE_ONE_IN: u64 = 4;
/// How long a primary that was replaced is away.
const AWAY: [Nanos; 2] = [5 * MILLI, 300 * MILLI];

/// The servers, the primary first, and the sentinels behind them.
pub fn machines(mut seed: impl FnMut() -> u64) -> Vec<Machine> {
    let takes_writes = seed().is_multiple_of(WRITABLE_ONE_IN);
    let machine = |at| {
        let mut machine = Machine::alone(seed());
        (machine.server.replica, machine.server.takes_writes) = (at == 1, takes_writes);
        machine.server.names = (at >= SERVERS).then_some(SERVER_PORT);
        machine
    };
    (0..SERVERS + SENTINELS).map(machine).collect()
}

/// Where a port leads.
pub fn machine_at(port: u16) -> usize {
    let sentinel = port.checked_sub(SENTINEL_PORT).map(|at| SERVERS + usize::from(at));
    sentinel.unwrap_or_else(|| usize::from(port.saturating_sub(SERVER_PORT)))
}

impl World {
    /// The primary is gone, and its replica is to take over.
    pub(in crate::world) fn fail_over(&mut self, number: usize) {
        let from = self.victims[number];
        if from != self.primary || self.machines[from].down {
            return;
        }
        let machine = &mut self.machines[from];
        (machine.down, machine.stopped, machine.down_since) = (true, false, self.now);
        self.cut_all(from);
        for process in 0..self.processes.len() {
            if self.nothing_to_sweep(process) {
                self.mishaps.push(Mishap::Swept { process, at: self.now });
            }
        }
        self.faults_left += 1;
        let at = self.now + between(VACANT, &self.random);
        self.plan(at, Event::Promote(number));
    }

    pub(in crate::world) fn take_over(&mut self, number: usize) {
        let from = self.victims[number];
        let to = SERVERS - 1 - from;
        self.note(|| format!("-- server {to} takes the place of server {from}"));
        self.cut_all(to);
        let (snapshot, ms) = (std::mem::take(&mut self.snapshots[number]), self.server_ms());
        let machine = &mut self.machines[to];
        machine.server.restart(snapshot, ms);
        (machine.server.replica, machine.down, machine.stopped) = (false, false, false);
        self.primary = to;
        let (down, up) = (self.machines[from].down_since, self.now);
        // Who has lost its connection meanwhile has taken back what it does not know to be gone.
        for process in 0..self.processes.len() {
            self.mishaps.push(Mishap::Removed { process, keys: self.removed(process), at: down });
        }
        self.mishaps.push(Mishap::Restart { down, up, snapshot: Some(self.began[number]) });
        for sentinel in SERVERS..self.machines.len() {
            let late = self.random.bits().is_multiple_of(LATE_ONE_IN);
            let at = self.now + between(if late { LATE } else { HEARING }, &self.random);
            self.plan(at, Event::Hear(sentinel));
        }
        let at = self.now + between(AWAY, &self.random);
        self.plan(at, Event::Hear(from));
        self.is_past();
    }

    /// A sentinel hears who the primary is; a server that was replaced comes back as a replica.
    pub(in crate::world) fn told_of_failover(&mut self, at: usize) {
        let (primary, machine) = (self.primary, &mut self.machines[at]);
        if machine.server.names.is_some() {
            machine.server.names = Some(SERVER_PORT + primary as u16);
        } else if at != primary {
            (machine.down, machine.server.replica) = (false, true);
        }
    }

    fn cut_all(&mut self, machine: usize) {
        for at in 0..self.connections.len() {
            if self.connections[at].machine == machine {
                self.cut(at);
            }
        }
    }
}
