//! The table of commands against the real server's own.

use redis::Value;

use crate::server::command::{self, Command, Keys};
use crate::server::table;
use crate::server::tests::real::Real;

/// What COMMAND INFO calls the flags.
const FLAGS: [(&str, u16); 7] = [
    ("write", command::WRITE),
    ("readonly", command::READONLY),
    ("denyoom", command::DENYOOM),
    ("loading", command::LOADING),
    ("allow_busy", command::ALLOW_BUSY),
    ("no_auth", command::NO_AUTH),
    ("noscript", command::NOSCRIPT),
];

fn text(value: &Value) -> String {
    match value {
        Value::BulkString(bytes) => String::from_utf8_lossy(bytes).into_owned(),
        Value::SimpleString(text) => text.clone(),
        other => panic!("{other:?}"),
    }
}

fn check(command: &Command, info: &[Value]) {
    let Value::Array(flags) = &info[2] else { panic!("{info:?}") };
    let flags: Vec<_> = flags.iter().map(text).collect();
    let of_its_own = |flag: &u16| flag & command::NO_QUEUE == 0;
    let expected = FLAGS.iter().filter(|(name, _)| flags.iter().any(|flag| flag == name));
    let expected = expected.fold(0, |all, (_, flag)| all | flag);
    let has = FLAGS.iter().map(|(_, flag)| flag).filter(|flag| of_its_own(flag) && command.is(**flag));
    assert_eq!(has.fold(0, |all, flag| all | flag), expected, "{}: {flags:?}", command.name);
    assert_eq!(info[1], Value::Int(i64::from(command.arity)), "{}", command.name);
    let (first, last) = match command.keys {
        Keys::None | Keys::Counted => (0, 0),
        Keys::First => (1, 1),
        Keys::All => (1, -1),
    };
    assert_eq!((&info[3], &info[4]), (&Value::Int(first), &Value::Int(last)), "{}", command.name);
    let movable = flags.iter().any(|flag| flag == "movablekeys");
    assert_eq!(movable, command.keys == Keys::Counted, "{}", command.name);
}

#[test]
fn each_command_is_what_the_real_server_says_of_it() {
    let (_real, mut admin) = Real::start();
    let mut count = 0;
    for command in table::all() {
        let Value::Array(infos) = admin.command(&["COMMAND", "INFO", command.name]) else { panic!("an array") };
        let Value::Array(info) = &infos[0] else { panic!("{} is no command", command.name) };
        check(command, info);
        count += 1;
    }
    assert!(count > 40);
}
