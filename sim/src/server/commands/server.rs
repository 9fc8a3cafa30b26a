//! Commands about the server as a whole.

use crate::server::Id;
use crate::server::Server;
use crate::server::commands::{is, syntax};
use crate::server::reply::{OK, Reply};

/// The version that the model follows.
pub const VERSION: &str = "7.0.15";
/// What the model says it uses, and may use while it is full.
const USED_MEMORY: u64 = 1_000_000;

pub fn info(server: &mut Server, _: Id, words: &[&[u8]]) -> Reply {
    let wants = |name: &str| words.len() == 1 || words[1..].iter().any(|word| is(word, name));
    let mut sections = Vec::new();
    if wants("server") {
        sections.push(format!(
            "# Server\r\nredis_version:{VERSION}\r\nredis_mode:{}\r\nrun_id:{}\r\n",
            if server.cluster.is_some() { "cluster" } else { "standalone" },
            server.run_id
        ));
    }
    if wants("memory") {
        let most = if server.faults.oom { USED_MEMORY } else { 0 };
        sections.push(format!(
            "# Memory\r\nused_memory:{USED_MEMORY}\r\nmaxmemory:{most}\r\nmaxmemory_policy:noeviction\r\n"
        ));
    }
    if wants("cluster") {
        let enabled = u8::from(server.cluster.is_some());
        sections.push(format!("# Cluster\r\ncluster_enabled:{enabled}\r\n"));
    }
    Reply::Verbatim(sections.join("\r\n"))
}

pub fn role(server: &mut Server, _: Id, _: &[&[u8]]) -> Reply {
    Reply::Array(if server.says_replica() {
        let (master, port) = (Reply::text("127.0.0.1"), Reply::Int(6379));
        vec![Reply::text("slave"), master, port, Reply::text("connected"), Reply::Int(0)]
    } else {
        vec![Reply::text("master"), Reply::Int(0), Reply::Array(Vec::new())]
    })
}

/// Whether the words behind FLUSHALL and FLUSHDB are such as they take.
fn flushes(words: &[&[u8]]) -> bool {
    match words {
        [_] => true,
        [_, how] => is(how, "ASYNC") || is(how, "SYNC"),
        _ => false,
    }
}

pub fn flushall(server: &mut Server, _: Id, words: &[&[u8]]) -> Reply {
    if !flushes(words) {
        return syntax();
    }
    server.databases.clear();
    server.all_changed();
    OK
}

pub fn flushdb(server: &mut Server, id: Id, words: &[&[u8]]) -> Reply {
    if !flushes(words) {
        return syntax();
    }
    let database = server.selected(id);
    *server.database(database) = Default::default();
    // Redis tells of all databases: keys are remembered without theirs.
    server.all_changed();
    OK
}

pub fn dbsize(server: &mut Server, id: Id, _: &[&[u8]]) -> Reply {
    let database = server.selected(id);
    Reply::Int(i64::try_from(server.database(database).entries.len()).unwrap_or(i64::MAX))
}
