//! The network between the processes and the server: connections whose bytes take their time, arrive in any pieces, and
//! may be held, lost or cut.
//!
//! A connection has two directions. What is sent goes through in its order, at moments that this file chooses; what was
//! held when a fault began arrives when it ends, even on a connection that its process has given up long ago.

use std::collections::VecDeque;

use holdfast::engine::base::random::Random;

use crate::history::{MICRO, Nanos};
use crate::words;

/// How long a segment is under way, at least and at most.
const LATENCY: [Nanos; 2] = [15 * MICRO, 120 * MICRO];
/// How long a dial takes.
pub const DIAL: [Nanos; 2] = [40 * MICRO, 300 * MICRO];
/// In one round in so many an engine's thread is busy, for so long.
pub const BUSY_ONE_IN: u64 = 16;
pub const BUSY: [Nanos; 2] = [20 * MICRO, 900 * MICRO];
/// One piece in so many is cut into several segments.
const CUT_ONE_IN: u64 = 8;

/// Which way bytes go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// To the server.
    Up,
    /// To the process.
    Down,
}

/// What arrives.
#[derive(Debug)]
pub enum Piece {
    Bytes(Vec<u8>),
    /// The sender has closed its side.
    End,
}

/// A connection, from the dial to the end of both sides.
pub struct Connection {
    pub process: usize,
    /// To which machine.
    pub machine: usize,
    /// By which the server knows it.
    pub id: Option<usize>,
    up: Pipe,
    down: Pipe,
    /// Nothing passes for as long as it is held.
    held: bool,
    /// Replies are lost from here on.
    deaf: bool,
    /// How much longer replies take.
    pub lag: Nanos,
    /// Every byte is a piece of its own.
    pub drips: bool,
    /// Half of a reply was sent: the rest never comes.
    pub torn: bool,
    /// What becomes of the next bytes to the process.
    pub spoiled: Option<Spoil>,
    /// The process has given it up; what it sent before is still on its way.
    pub left: bool,
    /// The server has closed it, or was told that the process did.
    pub closed: bool,
}

/// What a connection does to replies.
#[derive(Clone, Debug)]
pub enum Spoil {
    /// These bytes come before them.
    Extra(Vec<u8>),
    Missing,
    /// Half of them come.
    Tear,
}

#[derive(Default)]
struct Pipe {
    /// What is under way, and what lies there unread, with the moment at which each piece arrives.
    pieces: VecDeque<(Nanos, Piece)>,
    last: Nanos,
}

impl Connection {
    pub fn new((process, machine): (usize, usize), held: bool) -> Self {
        let (up, down) = (Pipe::default(), Pipe::default());
        Self {
            process,
            machine,
            id: None,
            up,
            down,
            held,
            deaf: false,
            lag: 0,
            drips: false,
            torn: false,
            spoiled: None,
            left: false,
            closed: false,
        }
    }

    fn pipe(&mut self, way: Way) -> &mut Pipe {
        match way {
            Way::Up => &mut self.up,
            Way::Down => &mut self.down,
        }
    }

    /// Sends bytes; the moments at which pieces of them arrive are pushed to `moments`.
    pub fn send(&mut self, way: Way, bytes: Vec<u8>, now: Nanos, random: &Random, moments: &mut Vec<Nanos>) {
        if bytes.is_empty() || way == Way::Down && self.deaf {
            return;
        }
        let bytes = match (way, self.spoiled.take()) {
            (Way::Down, Some(Spoil::Extra(mut extra))) => {
                extra.extend(bytes);
                extra
            }
            // What is pushed is missed by nobody: that a proxy drops it is for nearCache.maxAge to bound.
            (Way::Down, Some(Spoil::Missing)) if !words::replies(&bytes).contains("push") => return,
            (Way::Down, Some(Spoil::Tear)) => {
                self.torn = true;
                bytes[..bytes.len() / 2].to_vec()
            }
            (_, spoiled) => {
                self.spoiled = spoiled;
                bytes
            }
        };
        if self.drips {
            let each = bytes.into_iter().map(|byte| self.put(way, Piece::Bytes(vec![byte]), now, random));
            return moments.extend(each);
        }
        if !random.bits().is_multiple_of(CUT_ONE_IN) {
            return moments.push(self.put(way, Piece::Bytes(bytes), now, random));
        }
        let mut pieces = vec![bytes];
        while let Some(last) = pieces.last_mut().filter(|last| last.len() > 1) {
            let at = 1 + random.bits() as usize % (last.len() - 1);
            let rest = last.split_off(at);
            pieces.push(rest);
            if !random.bits().is_multiple_of(CUT_ONE_IN) || pieces.len() == 4 {
                break;
            }
        }
        moments.extend(pieces.into_iter().map(|piece| self.put(way, Piece::Bytes(piece), now, random)));
    }

    /// The sender closes its side; the moment at which that arrives.
    pub fn end(&mut self, way: Way, now: Nanos, random: &Random) -> Nanos {
        self.put(way, Piece::End, now, random)
    }

    fn put(&mut self, way: Way, piece: Piece, now: Nanos, random: &Random) -> Nanos {
        let lag = if way == Way::Down { self.lag } else { 0 };
        let held = self.held;
        let pipe = self.pipe(way);
        let at = (now + lag + between(LATENCY, random)).max(pipe.last + 1);
        pipe.last = at;
        pipe.pieces.push_back((if held { Nanos::MAX } else { at }, piece));
        at
    }

    /// The next piece that has arrived.
    pub fn take(&mut self, way: Way, now: Nanos) -> Option<Piece> {
        let pipe = self.pipe(way);
        pipe.pieces.front().filter(|(at, _)| *at <= now)?;
        pipe.pieces.pop_front().map(|(_, piece)| piece)
    }

    /// Nothing passes from here on.
    pub fn hold(&mut self) {
        self.held = true;
        for pipe in [&mut self.up, &mut self.down] {
            pipe.pieces.iter_mut().for_each(|(at, _)| *at = Nanos::MAX);
        }
    }

    /// What was held arrives, and all that follows; the moments of each direction.
    pub fn release(&mut self, now: Nanos, random: &Random) -> Vec<(Way, Nanos)> {
        let mut moments = Vec::new();
        if !std::mem::take(&mut self.held) {
            return moments;
        }
        for way in [Way::Up, Way::Down] {
            let pipe = self.pipe(way);
            pipe.last = now;
            for (at, _) in &mut pipe.pieces {
                *at = pipe.last + between(LATENCY, random) / 8;
                pipe.last = *at;
                moments.push((way, *at));
            }
        }
        moments
    }

    /// Replies are lost from here on, those under way too.
    pub fn deafen(&mut self) {
        self.deaf = true;
        self.down.pieces.clear();
    }

    /// Both sides find it gone, whatever was under way.
    pub fn cut(&mut self) {
        self.held = false;
        self.up.pieces.clear();
        self.down.pieces.clear();
    }
}

/// A number from the first to the last, the lower ones more often.
pub fn between([least, most]: [Nanos; 2], random: &Random) -> Nanos {
    let part = random.part();
    least + ((most - least) as f64 * part * part) as Nanos
}
