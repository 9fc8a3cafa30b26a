//! What goes over the network: the engines' threads read and write it, the server answers, and connections come and go.

use std::time::Instant;

use crate::history::{MICRO, Nanos};
use crate::words;
use crate::world::fleet::line::Deed;
use crate::world::network::{BUSY, BUSY_ONE_IN, Connection, DIAL, Piece, Way, between};
use crate::world::process::MAX_JOBS;
use crate::world::{Event, World, name};

impl World {
    /// The engine's thread: reads what came, goes on with what can go on, and does what is wished for.
    pub(super) fn drive(&mut self, process: usize) {
        if self.processes[process].dead {
            return;
        }
        if self.processes[process].frozen {
            return;
        }
        let now = self.instant();
        let mut jobs = if self.now >= self.processes[process].busy { MAX_JOBS } else { 0 };
        if jobs > 0 && self.random.bits().is_multiple_of(BUSY_ONE_IN) {
            // A handful ends behind this one.
            jobs = 1;
            self.processes[process].busy = self.now + between(BUSY, &self.random);
        }
        let mut deeds = Vec::new();
        loop {
            let mut went_on = self.read(process, now);
            went_on |= self.processes[process].round(now, jobs, &mut deeds);
            for (line, deed) in deeds.drain(..) {
                self.act(process, line, deed);
            }
            if jobs == 1 {
                jobs = 0;
            }
            if !went_on {
                break;
            }
        }
        if jobs == 0 {
            let until = self.processes[process].busy;
            self.drive_at(process, until.max(self.now + 1));
        }
        let next = self.processes[process].next_moment();
        if let Some(moment) = next {
            let at = moment.saturating_duration_since(self.base).as_nanos() as Nanos;
            self.drive_at(process, at.max(self.now + MICRO));
        }
        self.processes[process].went_on();
        // What it did may have told listeners.
        self.listen();
        self.measure(process);
    }

    fn read(&mut self, process: usize, now: Instant) -> bool {
        let mut any = false;
        for line in 0..self.processes[process].lines.len() {
            any |= self.read_line(process, line, now);
        }
        any
    }

    fn read_line(&mut self, process: usize, line: usize, now: Instant) -> bool {
        let Some(number) = self.processes[process].lines[line].connection else { return false };
        match self.connections[number].take(Way::Down, self.now) {
            None => false,
            Some(Piece::Bytes(bytes)) => {
                self.note(|| format!("{} reads {}", name(process), words::replies(&bytes)));
                self.processes[process].lines[line].read(&bytes, now);
                true
            }
            Some(Piece::End) => {
                self.note(|| format!("{} finds its connection closed", name(process)));
                self.processes[process].lines[line].lost(now);
                true
            }
        }
    }

    pub(super) fn act(&mut self, process: usize, line: usize, deed: Deed) {
        match deed {
            Deed::Dial => {
                let one = &mut self.processes[process].lines[line];
                let (dial, port) = (one.dial(), one.port);
                let many = self.machines.len() > 1;
                self.note(|| {
                    format!("{} dials{}", name(process), if many { format!(" {port}") } else { String::new() })
                });
                let at = self.now + between(DIAL, &self.random);
                self.plan(at, Event::Dialled(process, line, dial));
            }
            Deed::Close => {
                let one = &mut self.processes[process].lines[line];
                one.dialing = None;
                let Some(number) = one.connection.take() else { return };
                self.note(|| format!("{} gives its connection up", name(process)));
                let connection = &mut self.connections[number];
                connection.left = true;
                let at = connection.end(Way::Up, self.now, &self.random);
                self.plan(at, Event::Arrive(number, Way::Up));
            }
            Deed::Send(bytes) => {
                let Some(number) = self.processes[process].lines[line].connection else { return };
                let at = self.connections[number].machine;
                let to = if self.machines.len() > 1 { format!(" to {at}") } else { String::new() };
                self.note(|| format!("{} sends{to} {}", name(process), words::commands(&bytes)));
                let mut moments = std::mem::take(&mut self.moments);
                self.connections[number].send(Way::Up, bytes, self.now, &self.random, &mut moments);
                moments.drain(..).for_each(|at| self.plan(at, Event::Arrive(number, Way::Up)));
                self.moments = moments;
            }
        }
    }

    /// A dial has reached a server, or found nobody there.
    pub(super) fn dialled(&mut self, process: usize, line: usize, dial: u32) {
        let one = &self.processes[process];
        if one.dead || one.lines[line].dialing != Some(dial) || self.unanswered > 0 {
            return;
        }
        let now = self.instant();
        let machine = self.dialled_machine(one.lines[line].port);
        if self.machines[machine].down {
            let line = &mut self.processes[process].lines[line];
            line.dialing = None;
            line.lost(now);
        } else {
            let number = self.connections.len();
            // A process that stands still has a kernel that does not.
            let mut connection = Connection::new((process, machine), self.processes[process].cut_off);
            connection.lag = self.lag_of(process);
            self.connections.push(connection);
            self.processes[process].lines[line].connected(number, now);
        }
        self.processes[process].went_on();
        self.drive_soon(process);
    }

    /// What has arrived at a server is executed, unless that stands still.
    pub(super) fn serve(&mut self, number: usize) {
        let ms = self.server_ms();
        let connection = &mut self.connections[number];
        let at = connection.machine;
        if !self.machines[at].serves() {
            return;
        }
        if connection.closed {
            while connection.take(Way::Up, self.now).is_some() {}
            return;
        }
        let many = self.machines.len() > 1;
        let server = &mut self.machines[at].server;
        while let Some(piece) = connection.take(Way::Up, self.now) {
            let id = *connection.id.get_or_insert_with(|| server.connect(ms));
            if let (Some(trace), Piece::Bytes(bytes)) = (&mut self.trace, &piece) {
                let which = if many { format!("server {at}") } else { "the server".to_owned() };
                trace.push((self.now, format!("    {which} executes {}", words::commands(bytes))));
            }
            match piece {
                Piece::Bytes(bytes) => server.receive(id, &bytes, ms),
                Piece::End => {
                    server.closed(id);
                    connection.closed = true;
                    break;
                }
            }
        }
        self.answer();
    }

    /// What the server has to say goes on its way.
    pub(super) fn answer(&mut self) {
        let mut moments = std::mem::take(&mut self.moments);
        for number in 0..self.connections.len() {
            let connection = &mut self.connections[number];
            let Some(id) = connection.id.filter(|_| !connection.closed) else { continue };
            let server = &mut self.machines[connection.machine].server;
            let bytes = server.output(id);
            connection.send(Way::Down, bytes, self.now, &self.random, &mut moments);
            if std::mem::take(&mut connection.torn) {
                server.closed(id);
            }
            if !server.is_open(id) {
                connection.closed = true;
                moments.push(connection.end(Way::Down, self.now, &self.random));
            }
            moments.drain(..).for_each(|at| self.plan(at, Event::Arrive(number, Way::Down)));
        }
        self.moments = moments;
    }
}
