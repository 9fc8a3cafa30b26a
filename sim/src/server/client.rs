//! What the server knows of one connection.

use crate::server::command::Command;

pub struct Client {
    /// What CLIENT ID says: begins anew after a restart.
    pub number: u64,
    pub open: bool,
    /// It said its last word, and executes nothing more.
    pub closing: bool,
    /// What came of a command that is not whole yet.
    pub input: Vec<u8>,
    /// What is to be sent to it.
    pub output: Vec<u8>,
    pub resp3: bool,
    pub authenticated: bool,
    pub database: usize,
    /// It may ask for a slot that comes: ASKING, for the next command.
    pub asking: bool,
    pub name: Vec<u8>,
    pub transaction: Option<Transaction>,
    pub tracking: Option<Watch>,
}

/// Commands between MULTI and EXEC.
#[derive(Default)]
pub struct Transaction {
    pub queued: Vec<(&'static Command, Vec<Vec<u8>>)>,
    /// One of them was refused: EXEC does nothing.
    pub refused: bool,
}

/// The keys that it reads are remembered for it.
#[derive(Clone, Copy)]
pub struct Watch {
    /// It is not told of what it writes itself.
    pub noloop: bool,
}

impl Client {
    pub fn new(number: u64, authenticated: bool) -> Self {
        Self {
            number,
            open: true,
            closing: false,
            input: Vec::new(),
            output: Vec::new(),
            resp3: false,
            authenticated,
            database: 0,
            asking: false,
            name: Vec::new(),
            transaction: None,
            tracking: None,
        }
    }

    /// The connection is gone, and what is the server's own of it.
    pub fn close(&mut self) {
        let output = std::mem::take(&mut self.output);
        *self = Self { open: false, closing: true, output, ..Self::new(self.number, false) };
    }
}
