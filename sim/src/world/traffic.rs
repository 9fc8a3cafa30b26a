//! What goes over the network: the engines' threads read and write it, the server answers, and connections come and go.

use std::time::Instant;

use crate::history::{MICRO, Nanos};
use crate::words;
use crate::world::network::{BUSY, BUSY_ONE_IN, Connection, DIAL, Piece, Way, between};
use crate::world::process::{Deed, MAX_JOBS};
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
            for deed in deeds.drain(..) {
                self.act(process, deed);
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
        let next = self.processes[process].node.next_moment();
        if let Some(moment) = next {
            let at = moment.saturating_duration_since(self.base).as_nanos() as Nanos;
            self.drive_at(process, at.max(self.now + MICRO));
        }
        // What it did may have told listeners.
        self.listen();
        self.measure(process);
    }

    fn read(&mut self, process: usize, now: Instant) -> bool {
        let Some(number) = self.processes[process].connection else { return false };
        match self.connections[number].take(Way::Down, self.now) {
            None => false,
            Some(Piece::Bytes(bytes)) => {
                self.note(|| format!("{} reads {}", name(process), words::replies(&bytes)));
                self.processes[process].node.read(&bytes, now);
                true
            }
            Some(Piece::End) => {
                self.note(|| format!("{} finds its connection closed", name(process)));
                self.processes[process].lost(now);
                true
            }
        }
    }

    pub(super) fn act(&mut self, process: usize, deed: Deed) {
        match deed {
            Deed::Dial => {
                self.note(|| format!("{} dials", name(process)));
                let one = &mut self.processes[process];
                one.dials += 1;
                one.dialing = Some(one.dials);
                let dial = one.dials;
                let at = self.now + between(DIAL, &self.random);
                self.plan(at, Event::Dialled(process, dial));
            }
            Deed::Close => {
                self.processes[process].dialing = None;
                let Some(number) = self.processes[process].connection.take() else { return };
                self.note(|| format!("{} gives its connection up", name(process)));
                let connection = &mut self.connections[number];
                connection.left = true;
                let at = connection.end(Way::Up, self.now, &self.random);
                self.plan(at, Event::Arrive(number, Way::Up));
            }
            Deed::Send(bytes) => {
                let Some(number) = self.processes[process].connection else { return };
                self.note(|| format!("{} sends {}", name(process), words::commands(&bytes)));
                let mut moments = std::mem::take(&mut self.moments);
                self.connections[number].send(Way::Up, bytes, self.now, &self.random, &mut moments);
                moments.drain(..).for_each(|at| self.plan(at, Event::Arrive(number, Way::Up)));
                self.moments = moments;
            }
        }
    }

    /// A dial has reached the server, or found nobody there.
    pub(super) fn dialled(&mut self, process: usize, dial: u32) {
        if self.processes[process].dead || self.processes[process].dialing != Some(dial) {
            return;
        }
        if self.unanswered > 0 {
            return;
        }
        let now = self.instant();
        if self.down {
            self.processes[process].dialing = None;
            self.processes[process].lost(now);
        } else {
            let number = self.connections.len();
            // A process that stands still has a kernel that does not.
            self.connections.push(Connection::new(process, self.processes[process].cut_off));
            self.connections[number].lag = self.lag_of(process);
            self.processes[process].connected(number, now);
        }
        self.drive_soon(process);
    }

    /// What has arrived at the server is executed, unless that stands still.
    pub(super) fn serve(&mut self, number: usize) {
        if self.stopped || self.down {
            return;
        }
        let ms = self.server_ms();
        let connection = &mut self.connections[number];
        if connection.closed {
            while connection.take(Way::Up, self.now).is_some() {}
            return;
        }
        let server = &mut self.server;
        while let Some(piece) = connection.take(Way::Up, self.now) {
            let id = *connection.id.get_or_insert_with(|| server.connect(ms));
            if let (Some(trace), Piece::Bytes(bytes)) = (&mut self.trace, &piece) {
                trace.push((self.now, format!("    the server executes {}", words::commands(bytes))));
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
            let bytes = self.server.output(id);
            connection.send(Way::Down, bytes, self.now, &self.random, &mut moments);
            if std::mem::take(&mut connection.torn) {
                self.server.closed(id);
            }
            if !self.server.is_open(id) {
                connection.closed = true;
                moments.push(connection.end(Way::Down, self.now, &self.random));
            }
            moments.drain(..).for_each(|at| self.plan(at, Event::Arrive(number, Way::Down)));
        }
        self.moments = moments;
    }
}
