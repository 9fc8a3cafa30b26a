//! One node of a process, as its driver sees it: its jobs, its dial, and the connection in use.

use std::sync::Arc;
use std::task::{Context, Waker};
use std::time::Instant;

use futures_channel::mpsc::{TryRecvError, UnboundedReceiver, UnboundedSender};
use holdfast::engine::cache::job::Job;
use holdfast::engine::fleet::server::Server;
use holdfast::engine::net::target::Address;
use holdfast::engine::net::wire;
use holdfast::engine::node::handshake::Peer;
use holdfast::engine::node::machine::Node;
use holdfast::engine::node::state::Wish;

use crate::world::fleet::woken::Woken;

/// What a round of the driver leaves to the world.
pub enum Deed {
    Dial,
    Close,
    Send(Vec<u8>),
}

pub struct Line {
    pub node: Node,
    server: Arc<Server>,
    jobs: UnboundedReceiver<Job>,
    /// Of a scout: nobody calls, and it does not end for that.
    keep: Option<UnboundedSender<Job>>,
    /// The number of the dial that is under way, and the port that is dialled.
    pub dialing: Option<u32>,
    pub port: u16,
    dials: u32,
    /// The connection in use, by its number in the network.
    pub connection: Option<usize>,
    closed: bool,
    /// A task of its node can go on.
    woken: Arc<Woken>,
    waker: Waker,
    /// Something else happened to its node since that ran.
    stirred: bool,
    /// When its node wanted to go on, when it ran last.
    moment: Option<Instant>,
}

impl Line {
    /// `woken`: of its process.
    pub fn new(node: Node, server: Arc<Server>, jobs: UnboundedReceiver<Job>, woken: &Arc<Woken>) -> Self {
        let woken = Woken::one_of(woken);
        Self {
            node,
            server,
            jobs,
            keep: None,
            dialing: None,
            port: 0,
            dials: 0,
            connection: None,
            closed: false,
            waker: woken.waker(),
            woken,
            stirred: true,
            moment: None,
        }
    }

    /// One that nobody calls.
    pub fn scout(node: Node, server: Arc<Server>, woken: &Arc<Woken>) -> Self {
        let (keep, jobs) = futures_channel::mpsc::unbounded();
        Self { keep: Some(keep), ..Self::new(node, server, jobs, woken) }
    }

    /// A cluster's server that is away, whether it has slots or is to have some: calls that it is asked to do are
    /// answered in process.
    pub fn is_away(&self) -> bool {
        self.server.place > 0 && !self.node.is_ended() && !self.server.standing.lock().up
    }

    /// Where jobs come from, for who takes over.
    pub fn leave(&mut self) -> UnboundedReceiver<Job> {
        self.keep = None;
        std::mem::replace(&mut self.jobs, futures_channel::mpsc::unbounded().1)
    }

    /// The number of a dial that begins.
    pub fn dial(&mut self) -> u32 {
        self.dials += 1;
        self.dialing = Some(self.dials);
        self.dials
    }

    /// The connection that it dialled is up.
    pub fn connected(&mut self, connection: usize, now: Instant) {
        self.dialing = None;
        self.connection = Some(connection);
        self.stirred = true;
        self.node.connected(Peer::default(), now);
    }

    /// Its connection is gone.
    pub fn lost(&mut self, now: Instant) {
        self.connection = None;
        self.stirred = true;
        self.node.lost(wire::closed(), now);
    }

    /// Bytes came.
    pub fn read(&mut self, bytes: &[u8], now: Instant) {
        self.stirred = true;
        self.node.read(bytes, now);
    }

    /// When it wants to go on, if nothing happens before.
    pub fn next_moment(&self) -> Option<Instant> {
        self.moment.filter(|_| !self.node.is_ended())
    }

    /// Goes on with what can go on: jobs, tasks, moments. What it wants done is pushed to `deeds`, with its own number
    /// `at`; whether anything went on. `woken`: whether a task of the process can go on, or time has.
    ///
    /// Most rounds are about one of a cluster's nodes: the others are passed over, as nothing of them can go on.
    pub fn round(&mut self, at: usize, now: Instant, jobs: usize, woken: bool, deeds: &mut Vec<(usize, Deed)>) -> bool {
        let mut went_on = false;
        while let Some(wish) = self.node.wish() {
            went_on = true;
            let deed = match wish {
                Wish::Dial(target, _) => {
                    if let Address::Tcp { port, .. } = target.address {
                        self.port = port;
                    }
                    Deed::Dial
                }
                Wish::Close => Deed::Close,
            };
            deeds.push((at, deed));
        }
        if self.node.is_ended() {
            return went_on;
        }
        for _ in 0..jobs {
            match self.jobs.try_recv() {
                Ok(job) => self.node.call(job, now),
                Err(TryRecvError::Closed) if !self.closed => {
                    self.closed = true;
                    self.node.close(now);
                }
                Err(_) => break,
            }
            went_on = true;
            self.stirred = true;
        }
        let is_woken = woken && self.woken.take();
        let is_due = self.moment.is_some_and(|moment| moment <= now);
        if !std::mem::take(&mut self.stirred) && !is_woken && !is_due {
            return went_on;
        }
        let mut context = Context::from_waker(&self.waker);
        // What went on may go on.
        self.stirred = self.node.run(woken.then_some(&mut context), now);
        if self.node.next_moment().is_some_and(|moment| moment <= now) {
            self.node.tick(now);
            self.stirred = true;
        }
        went_on |= self.stirred;
        let mut bytes = Vec::new();
        self.node.output(&mut bytes);
        if !bytes.is_empty() {
            deeds.push((at, Deed::Send(bytes)));
            went_on = true;
        }
        self.moment = self.node.next_moment();
        went_on
    }
}
