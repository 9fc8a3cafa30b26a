//! One command on its way: what refuses it, in the order in which Redis looks, and what executes it.

use crate::server::command::{self, Command};
use crate::server::commands::is;
use crate::server::faults;
use crate::server::reply::{Reply, error};
use crate::server::table::{self, Found};
use crate::server::{FOREIGN, Id, Server};

impl Server {
    /// Executes one command of a client, whose reply goes out with the pushes behind it.
    pub(super) fn process(&mut self, id: Id, words: &[&[u8]]) {
        let reply = self.reply(id, words);
        if let Some(client) = self.clients.get_mut(id) {
            let keeps = client.transaction.is_some() || words.first().is_some_and(|word| is(word, "ASKING"));
            client.asking &= keeps;
            reply.write(client.resp3, &mut client.output);
        }
        self.push_pending(id);
    }

    /// The reply to one command; pushes to its own client wait.
    pub(super) fn reply(&mut self, id: Id, words: &[&[u8]]) -> Reply {
        self.current = id;
        if let Some(reply) = self.names.and_then(|port| sentinel(port, words)) {
            return reply;
        }
        let command = match Self::known(words) {
            Ok(command) => command,
            Err(words) => return self.rejected(id, None, words),
        };
        if let Some(words) = self.refusal(id, command, words) {
            return self.rejected(id, Some(command), words);
        }
        match self.clients.get_mut(id).and_then(|client| client.transaction.as_mut()) {
            Some(transaction) if !command.is(command::NO_QUEUE) => {
                // What is to be discarded anyway is not kept.
                if !transaction.refused {
                    transaction.queued.push((command, words.iter().map(|word| word.to_vec()).collect()));
                }
                Reply::Simple("QUEUED")
            }
            _ => self.call(id, command, words),
        }
    }

    /// The command that the words name.
    pub(super) fn known(words: &[&[u8]]) -> Result<&'static Command, String> {
        let lossy =
            |bytes: &[u8]| String::from_utf8_lossy(bytes.get(..bytes.len().min(128)).unwrap_or_default()).into_owned();
        let first = words.first().copied().unwrap_or_default();
        match table::find(words) {
            Found::Command(command) if command.takes(words.len()) => Ok(command),
            Found::Command(command) => Err(format!("ERR wrong number of arguments for '{}' command", command.name)),
            Found::NoSubcommand => {
                let second = words.get(1).copied().unwrap_or_default();
                let family = lossy(first).to_uppercase();
                Err(format!("ERR unknown subcommand '{}'. Try {family} HELP.", lossy(second)))
            }
            Found::Unknown => {
                let mut args = String::new();
                for word in words.iter().skip(1) {
                    if args.len() >= 128 {
                        break;
                    }
                    let room = word.len().min(128 - args.len());
                    args.push_str(&format!("'{}' ", lossy(word.get(..room).unwrap_or_default())));
                }
                Err(format!("ERR unknown command '{}', with args beginning with: {args}", lossy(first)))
            }
        }
    }

    /// Why the server does not take a command now, if it does not.
    fn refusal(&mut self, id: Id, command: &Command, words: &[&[u8]]) -> Option<String> {
        if self.faults.no_hello && command.name == "hello" {
            return Some(faults::NO_HELLO.to_owned());
        }
        let client = self.clients.get(id)?;
        if !client.authenticated && !command.is(command::NO_AUTH) {
            return Some(faults::NOAUTH.to_owned());
        }
        let begun = client.transaction.as_ref();
        let queued = begun.filter(|_| command.name == "exec");
        // Behind MULTI all may need memory: it is queued.
        let queueing = begun.is_some() && !matches!(command.name, "exec" | "discard" | "quit");
        let any =
            |flag| command.is(flag) || queued.is_some_and(|begun| begun.queued.iter().any(|(each, _)| each.is(flag)));
        let (writes, grows) = (any(command::WRITE), any(command::DENYOOM) || queueing);
        let all =
            |flag| command.is(flag) && queued.is_none_or(|begun| begun.queued.iter().all(|(each, _)| each.is(flag)));
        let loads = all(command::LOADING);
        if let Some(words) = self.denial(id, command, words) {
            return Some(words);
        }
        if let Some(words) = self.elsewhere(id, command, words) {
            return Some(words);
        }
        if self.faults.oom && grows {
            return Some(faults::OOM.to_owned());
        }
        self.bound_tracking();
        let words = match &self.faults {
            faults if faults.misconf && (writes || command.name == "ping") => faults::MISCONF,
            faults if faults.noreplicas && writes => faults::NOREPLICAS,
            _ if self.is_replica() && writes => faults::READONLY,
            faults if faults.loading && !loads => faults::LOADING,
            faults if faults.busy && !command.is(command::ALLOW_BUSY) => faults::BUSY,
            _ => return None,
        };
        Some(words.to_owned())
    }

    /// What the ACL says against a command and its keys.
    pub(super) fn denial(&self, id: Id, command: &Command, words: &[&[u8]]) -> Option<String> {
        let acl = self.faults.acl.as_ref().filter(|_| id != FOREIGN)?;
        let family = command.name.split_once('|').map_or(command.name, |(family, _)| family);
        let denied = |name: &&str| *name == command.name || *name == family;
        if !command.is(command::NO_AUTH) && acl.denied.iter().any(denied) {
            return Some(format!("NOPERM this user has no permissions to run the '{}' command", command.name));
        }
        let allowed = |key: &[u8]| acl.prefixes.is_empty() || acl.prefixes.iter().any(|prefix| key.starts_with(prefix));
        let denied = command.keys(words).any(|key| !allowed(key));
        denied.then(|| faults::DENIED_KEY.to_owned())
    }

    /// A command that is not executed: it spoils the transaction that it stands in.
    fn rejected(&mut self, id: Id, command: Option<&Command>, words: String) -> Reply {
        let Some(client) = self.clients.get_mut(id) else { return error(words) };
        if command.is_some_and(|command| command.name == "exec") {
            client.transaction = None;
            return error(format!("EXECABORT Transaction discarded because of: {words}"));
        }
        if let Some(transaction) = &mut client.transaction {
            transaction.refused = true;
        }
        error(words)
    }

    /// Executes a command, also one of a transaction, and remembers what it read.
    pub(super) fn call(&mut self, id: Id, command: &Command, words: &[&[u8]]) -> Reply {
        let reply = self.nest(id, command, words);
        self.read(id, command, command.keys(words));
        reply
    }

    /// Executes a command; pushes to its own client wait until all around it is done.
    pub(super) fn nest(&mut self, id: Id, command: &Command, words: &[&[u8]]) -> Reply {
        self.nested += 1;
        let reply = (command.run)(self, id, words);
        self.nested -= 1;
        reply
    }

    /// A command was executed: if it is one that reads, these keys are remembered for its client.
    pub(super) fn read<'a>(&mut self, id: Id, command: &Command, keys: impl Iterator<Item = &'a [u8]>) {
        if command.is(command::READONLY) && self.clients.get(id).is_some_and(|client| client.tracking.is_some()) {
            self.remember(id, keys);
        }
    }
}

/// What a sentinel says, and no other server; of the others it knows nothing.
fn sentinel(port: u16, words: &[&[u8]]) -> Option<Reply> {
    let [first, what, _] = words else { return None };
    match is(first, "SENTINEL") {
        true if is(what, "GET-MASTER-ADDR-BY-NAME") => {
            Some(Reply::Array(vec![Reply::text("server"), Reply::text(&port.to_string())]))
        }
        true => Some(Reply::Array(Vec::new())),
        false => None,
    }
}
