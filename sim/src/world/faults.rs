//! What goes wrong in a schedule: each fault begins, and where it lasts, ends.

use crate::history::{MILLI, Mishap, Nanos};
use crate::schedule::{Fault, Kind, PLACES};
use crate::server::{Faults, Snapshot};
use crate::world::fleet::line::Deed;
use crate::world::network::{Connection, Spoil, Way};
use crate::world::{Event, World};

impl World {
    pub(super) fn plan_faults(&mut self) {
        for fault in 0..self.schedule.faults.len() {
            let at = self.now + self.schedule.faults[fault].at * MILLI;
            self.plan(at, Event::Fault(fault, true));
        }
    }

    pub(super) fn begin(&mut self, number: usize) {
        let fault = self.schedule.faults[number].clone();
        let Fault { kind, process, ms, .. } = fault;
        let machine = if self.schedule.settings.sentinels { self.primary } else { fault.machine };
        self.victims[number] = machine;
        let mut lasts = true;
        self.began[number] = self.now;
        self.note(|| format!("-- {kind:?} begins ({process})"));
        match kind {
            Kind::Stop => self.machines[machine].stopped = true,
            Kind::Blackhole => {
                self.processes[process].cut_off = true;
                self.connections_of(process).into_iter().for_each(|at| self.connections[at].hold());
            }
            Kind::Stall => self.connections_of(process).into_iter().for_each(|at| self.connections[at].hold()),
            Kind::Deafen => {
                self.connections_of(process).into_iter().for_each(|at| self.connections[at].deafen());
                lasts = false;
            }
            Kind::Cut => {
                for at in self.connections_of(process) {
                    self.cut(at);
                }
                lasts = false;
            }
            Kind::Lag => {
                for at in self.connections_of(process) {
                    self.connections[at].lag = ms * MILLI;
                }
            }
            Kind::Kill => {
                let ms = self.server_ms();
                self.machines[machine].server.execute(&[b"CLIENT", b"KILL", b"TYPE", b"normal", b"SKIPME", b"yes"], ms);
                self.answer();
                lasts = false;
            }
            Kind::Freeze => self.processes[process].frozen = true,
            Kind::End => {
                self.end_thread();
                lasts = false;
            }
            Kind::Die => {
                self.die(process);
                lasts = false;
            }
            Kind::Restart => {
                for at in 0..self.connections.len() {
                    self.cut(at);
                }
                let ms = self.server_ms();
                let server = &mut self.machines[machine];
                server.down = true;
                server.server.restart(Snapshot::default(), ms);
                server.down_since = self.now;
            }
            Kind::Restore => self.snapshots[number] = self.machines[machine].server.snapshot(),
            Kind::Evict => self.evicting += 1,
            Kind::Backlog => self.unanswered += 1,
            Kind::Drip => self.each_of(process, |connection| connection.drips = true),
            Kind::Tear => lasts = self.spoil(process, Spoil::Tear),
            Kind::Missing => lasts = self.spoil(process, Spoil::Missing),
            Kind::Extra => lasts = self.spoil(process, Spoil::Extra(b"$3\r\n777\r\n".to_vec())),
            Kind::Hostile => {
                let bytes = if ms % 2 == 0 { b"$2147483647\r\n".to_vec() } else { b"*1\r\n".repeat(10_000) };
                lasts = self.spoil(process, Spoil::Extra(bytes));
            }
            Kind::Busy => self.refuse(|faults| &mut faults.busy),
            Kind::Misconf => self.refuse(|faults| &mut faults.misconf),
            Kind::NoReplicas => self.refuse(|faults| &mut faults.noreplicas),
            Kind::Full => self.refuse(|faults| &mut faults.full),
            Kind::Oom => self.refuse(|faults| &mut faults.oom),
            Kind::ReadOnly => self.refuse(|faults| &mut faults.readonly),
            Kind::Loading => self.refuse(|faults| &mut faults.loading),
            Kind::Scripts => {
                let ms = self.server_ms();
                self.machines[machine].server.execute(&[b"SCRIPT", b"FLUSH"], ms);
                lasts = false;
            }
            _ => lasts = self.begin_change(number, &fault),
        }
        if lasts {
            let at = self.now + fault.lasts * MILLI;
            self.plan(at, Event::Fault(number, false));
        } else {
            self.is_past();
        }
    }

    pub(super) fn end(&mut self, number: usize) {
        let fault = self.schedule.faults[number].clone();
        let Fault { kind, process, .. } = fault;
        let (began, machine) = (self.began[number], self.victims[number]);
        self.note(|| format!("-- {kind:?} ends ({process})"));
        match kind {
            Kind::Stop => {
                self.machines[machine].stopped = false;
                self.serve_all();
            }
            Kind::Blackhole | Kind::Stall => {
                if kind == Kind::Blackhole {
                    self.processes[process].cut_off = false;
                }
                for at in 0..self.connections.len() {
                    if self.connections[at].process == process {
                        for (way, moment) in self.connections[at].release(self.now, &self.random) {
                            self.plan(moment, Event::Arrive(at, way));
                        }
                    }
                }
            }
            Kind::Lag => self.connections_of(process).into_iter().for_each(|at| self.connections[at].lag = 0),
            Kind::Freeze => {
                self.processes[process].frozen = false;
                self.drive_soon(process);
                for environment in 0..PLACES.len() {
                    if Self::process_of(environment) == process {
                        self.turn_soon(environment);
                    }
                }
            }
            Kind::Restart => {
                self.machines[machine].down = false;
                let (down, up) = (self.machines[machine].down_since, self.now);
                self.mishaps.push(Mishap::Restart { down, up, snapshot: None });
            }
            Kind::Restore => {
                for at in 0..self.connections.len() {
                    self.cut(at);
                }
                let ms = self.server_ms();
                self.machines[machine].server.restart(std::mem::take(&mut self.snapshots[number]), ms);
                let swept = (0..self.processes.len()).filter(|process| self.nothing_to_sweep(*process));
                let swept: Vec<usize> = swept.collect();
                self.mishaps.extend(swept.into_iter().map(|process| Mishap::Swept { process, at: self.now }));
                for process in 0..self.processes.len() {
                    self.mishaps.push(Mishap::Removed { process, keys: self.removed(process), at: self.now });
                }
                self.mishaps.push(Mishap::Restart { down: self.now, up: self.now, snapshot: Some(began) });
            }
            Kind::Evict => {
                self.evicting -= 1;
                self.mishaps.push(Mishap::Eviction { from: began, until: self.now });
            }
            Kind::Backlog => self.unanswered -= 1,
            Kind::Drip => self.each_of(process, |connection| connection.drips = false),
            Kind::Busy => self.admit(began, |faults| &mut faults.busy, true),
            Kind::Misconf => self.admit(began, |faults| &mut faults.misconf, true),
            Kind::NoReplicas => self.admit(began, |faults| &mut faults.noreplicas, true),
            Kind::Full => self.machines.iter_mut().for_each(|machine| machine.server.faults.full = false),
            Kind::Oom => self.admit(began, |faults| &mut faults.oom, false),
            Kind::ReadOnly => self.admit(began, |faults| &mut faults.readonly, true),
            Kind::Loading => self.admit(began, |faults| &mut faults.loading, true),
            _ => self.end_change(number, &fault),
        }
        self.is_past();
    }

    fn refuse(&mut self, which: impl Fn(&mut Faults) -> &mut bool) {
        self.machines.iter_mut().for_each(|machine| *which(&mut machine.server.faults) = true);
    }

    fn admit(&mut self, from: Nanos, which: impl Fn(&mut Faults) -> &mut bool, deletes: bool) {
        self.machines.iter_mut().for_each(|machine| *which(&mut machine.server.faults) = false);
        self.mishaps.push(Mishap::Refusal { from, until: self.now, deletes });
    }

    fn each_of(&mut self, process: usize, change: impl Fn(&mut Connection)) {
        for at in self.connections_of(process) {
            change(&mut self.connections[at]);
        }
    }

    /// Replies come to harm on their way; that is over at once.
    fn spoil(&mut self, process: usize, spoil: Spoil) -> bool {
        self.each_of(process, |connection| connection.spoiled = Some(spoil.clone()));
        false
    }

    pub(super) fn is_past(&mut self) {
        self.faults_left -= 1;
        self.calm_down();
    }

    /// The connections of a process that nobody has closed.
    fn connections_of(&self, process: usize) -> Vec<usize> {
        let all = self.connections.iter().enumerate();
        all.filter(|(_, one)| one.process == process && !one.closed && !one.left).map(|(at, _)| at).collect()
    }

    /// How late replies to a process are now.
    pub(super) fn lag_of(&self, process: usize) -> Nanos {
        self.connections
            .iter()
            .filter(|one| one.process == process && !one.closed)
            .map(|one| one.lag)
            .max()
            .unwrap_or(0)
    }

    pub(super) fn cut(&mut self, number: usize) {
        let connection = &mut self.connections[number];
        if connection.closed {
            return;
        }
        connection.cut();
        connection.closed = true;
        if let Some(id) = connection.id {
            self.machines[connection.machine].server.closed(id);
        }
        if !connection.left {
            let at = connection.end(Way::Down, self.now, &self.random);
            self.plan(at, Event::Arrive(number, Way::Down));
        }
    }

    /// The server goes on: what lies in its sockets is executed, connection by connection.
    fn serve_all(&mut self) {
        for number in 0..self.connections.len() {
            self.serve(number);
        }
    }

    /// A process dies: what it sent is still on its way, and nothing else of it is left.
    fn die(&mut self, process: usize) {
        if self.processes[process].dead {
            return;
        }
        for environment in 0..PLACES.len() {
            if Self::process_of(environment) == process {
                self.end_environment(environment);
            }
        }
        (0..self.processes[process].lines.len()).for_each(|line| self.act(process, line, Deed::Close));
        self.processes[process].dead = true;
        self.mishaps.push(Mishap::Death { process, at: self.now });
    }

    /// The worker thread of the first process ends, whatever it does.
    fn end_thread(&mut self) {
        self.end_environment(1);
    }

    fn end_environment(&mut self, environment: usize) {
        if self.environments[environment].ended {
            return;
        }
        self.environments[environment].end();
        self.ended.push(PLACES[environment]);
        self.due[environment].clear();
        self.drive_soon(Self::process_of(environment));
        for client in 0..self.clients.len() {
            if self.clients[client].place == PLACES[environment] {
                self.clients[client].over = true;
            }
        }
        self.calm_down();
    }
}
