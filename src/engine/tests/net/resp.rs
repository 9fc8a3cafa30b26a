//! The wire format: whatever the pieces in which it comes, what it says is what the crate's own parser reads; and
//! nothing panics.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use redis::{PushKind, Value, parse_redis_value};

use crate::engine::net::resp::{Malformed, Message, Parser};

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: 1_500, failure_persistence: None, ..Config::default() })
}

/// A reply as a server writes it, and as the crate's parser reads it, which takes no error that is not UTF-8, and gives
/// attributes too.
#[derive(Debug, Clone)]
struct Said {
    sent: Vec<u8>,
    read: Vec<u8>,
}

impl Said {
    fn same(bytes: impl Into<Vec<u8>>) -> Self {
        let bytes = bytes.into();
        Self { sent: bytes.clone(), read: bytes }
    }
}

fn bulk(kind: char, bytes: &[u8]) -> Vec<u8> {
    [format!("{kind}{}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat()
}

/// An error that quotes any bytes, but for a CRLF.
fn error(quoted: &[u8], blob: bool) -> Said {
    let text = [b"ERR unknown command 'PTTL' with args beginning with: '", quoted, b"'"].concat();
    let lossy = String::from_utf8_lossy(&text).into_owned().into_bytes();
    let line = |text: &[u8]| [b"-", text, b"\r\n"].concat();
    Said { sent: if blob { bulk('!', &text) } else { line(&text) }, read: line(&lossy) }
}

/// A reply, whatever it is.
fn reply() -> impl Strategy<Value = Said> {
    let leaf = prop_oneof![
        prop::sample::select(vec![
            "$-1\r\n",
            "*-1\r\n",
            "_\r\n",
            "+OK\r\n",
            "#t\r\n",
            "#f\r\n",
            ",1.5\r\n",
            ",-inf\r\n",
            "*0\r\n",
            "%0\r\n",
            "-NOSCRIPT No matching script.\r\n",
            "-ERR unknown command 'ECHO'\r\n",
            "-WEIRD\r\n",
            "!8\r\nOOM full\r\n",
        ])
        .prop_map(Said::same),
        "[a-zA-Z ]{0,9}".prop_map(|text| Said::same(format!("+{text}\r\n"))),
        any::<i64>().prop_map(|n| Said::same(format!(":{n}\r\n"))),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| Said::same(bulk('$', &bytes))),
        Just(Said::same(bulk('$', b"\r\n$1\r\n"))),
        // A character cut in two, and any bytes but line breaks.
        (prop::collection::vec(any::<u8>(), 0..20), any::<bool>()).prop_map(|(mut bytes, blob)| {
            bytes.retain(|byte| !matches!(byte, b'\r' | b'\n'));
            error(&bytes, blob)
        }),
        Just(error(&"é".repeat(64).as_bytes()[..127], false)),
    ];
    leaf.prop_recursive(4, 24, 5, |inner| {
        let array = |kind: char, each: usize| {
            move |parts: Vec<Said>| {
                let whole = parts.len() / each * each;
                let head = format!("{kind}{}\r\n", whole / each).into_bytes();
                let with = |part: fn(Said) -> Vec<u8>| {
                    [head.clone(), parts.iter().take(whole).cloned().flat_map(part).collect()].concat()
                };
                Said { sent: with(|said| said.sent), read: with(|said| said.read) }
            }
        };
        prop_oneof![
            3 => prop::collection::vec(inner.clone(), 0..5).prop_map(array('*', 1)),
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(array('~', 1)),
            1 => prop::collection::vec(inner.clone(), 0..5).prop_map(array('%', 2)),
            1 => (inner.clone(), prop::collection::vec(inner, 0..4)).prop_map(move |(reply, about)| Said {
                sent: [array('|', 2)(about).sent, reply.sent].concat(),
                read: reply.read,
            }),
        ]
    })
}

/// All messages of `bytes`, that come in pieces which end at `cuts`.
fn read(bytes: &[u8], cuts: &[usize]) -> Result<Vec<Message>, Malformed> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([bytes.len()]).collect();
    ends.sort_unstable();
    let (mut parser, mut messages, mut held, mut taken) = (Parser::default(), Vec::new(), Vec::new(), 0);
    for end in ends {
        held.extend(&bytes[taken..end]);
        taken = end;
        let mut at = 0;
        while let Some(message) = parser.next(&held, &mut at)? {
            messages.push(message);
        }
        held.drain(..at);
    }
    Ok(messages)
}

#[test]
fn replies_in_any_pieces_are_what_the_crate_reads() {
    let cases = (prop::collection::vec(reply(), 1..5), prop::collection::vec(any::<usize>(), 0..6));
    let result = runner().run(&cases, |(replies, cuts)| {
        let expected: Vec<Message> =
            replies.iter().map(|said| Message::Reply(parse_redis_value(&said.read).expect("it does"))).collect();
        let sent: Vec<u8> = replies.iter().flat_map(|said| said.sent.clone()).collect();
        prop_assert_eq!(read(&sent, &cuts), Ok(expected));
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn bytes_of_anybody_are_read_or_refused() {
    let pieces = prop::sample::select(vec![
        "*",
        "$",
        ">",
        "%",
        "-",
        ":",
        "|",
        "1",
        "-1",
        "3",
        "99999999999999999999",
        "\r\n",
        "\r",
        "\n",
        "$1\r\na\r\n",
        "*2\r\n",
        ">1\r\n",
    ]);
    let pieces = prop_oneof![
        6 => pieces.prop_map(|text| text.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..9),
    ];
    let cases = (prop::collection::vec(pieces, 0..20), prop::collection::vec(any::<usize>(), 0..6));
    let result = runner().run(&cases, |(pieces, cuts)| {
        let bytes = pieces.concat();
        let whole = read(&bytes, &[]);
        // In pieces it is the same, but that of what is refused in the end some may have been read.
        if let Ok(whole) = whole {
            prop_assert_eq!(read(&bytes, &cuts), Ok(whole));
        }
        Ok(())
    });
    result.unwrap_or_else(|e| panic!("{e}"));
}

#[test]
fn what_is_no_resp_is_refused_at_once() {
    let deep = "*1\r\n".repeat(1_000);
    let endless = format!("+{}", "x".repeat(70_000));
    for bytes in [
        "HTTP/1.1 400",
        "\r\n",
        "$x\r\n",
        "$-2\r\n",
        "*-2\r\n",
        "$1\r\nabc",
        ">0\r\n",
        "*1\r\n>1\r\n+a\r\n",
        "|-1\r\n",
        &deep,
        &endless,
        // Nothing that long is asked for.
        "$536870913\r\n",
        "*1048577\r\n",
        "%524289\r\n",
        ">1048577\r\n",
        "*9223372036854775807\r\n",
    ] {
        assert_eq!(read(bytes.as_bytes(), &[]), Err(Malformed), "{}", bytes.get(..20).unwrap_or(bytes));
    }
    // A promise makes no room.
    assert_eq!(read(b"*1048576\r\n$536870912\r\na", &[]), Ok(Vec::new()));
}

#[test]
fn pushes_stand_between_replies() {
    let bytes = b"+OK\r\n>2\r\n$10\r\ninvalidate\r\n*1\r\n$1\r\nk\r\n>2\r\n$10\r\ninvalidate\r\n_\r\n=7\r\ntxt:a\nb\r\n:1\r\n>1\r\n+other\r\n";
    let messages = read(bytes, &[]).expect("it is RESP");
    let pushes: Vec<_> = messages
        .iter()
        .filter_map(|message| if let Message::Push(push) = message { Some((&push.kind, &push.data[..])) } else { None })
        .collect();
    let other = PushKind::Other("other".to_owned());
    assert_eq!(
        pushes,
        [
            (&PushKind::Invalidate, &[Value::Array(vec![Value::BulkString(b"k".to_vec())])][..]),
            (&PushKind::Invalidate, &[Value::Nil][..]),
            (&other, &[][..]),
        ]
    );
    let text = Message::Reply(Value::SimpleString("a\nb".to_owned()));
    assert_eq!((messages.len(), &messages[0], &messages[3]), (6, &Message::Reply(Value::Okay), &text));
}

#[test]
fn what_is_text_need_be_neither_utf8_nor_free_of_a_cr_alone() {
    let messages = read(b"+a\xffb\r\n+a\rb\r\n-ERR a\r\xc3\r\n=6\r\ntxt:\xff\xfe\r\n(12\r\n", &[]).expect("it is RESP");
    let simple = |text: &str| Message::Reply(Value::SimpleString(text.to_owned()));
    assert_eq!(messages[0], simple("a\u{fffd}b"));
    assert_eq!(messages[1], simple("a\rb"));
    assert!(matches!(&messages[2], Message::Reply(Value::ServerError(error)) if error.details() == Some("a \u{fffd}")));
    assert_eq!(messages[3..], [simple("\u{fffd}\u{fffd}"), simple("12")]);
}

#[test]
fn what_a_server_says_about_its_replies_is_passed_over() {
    let bytes = b"|1\r\n+ttl\r\n:3600\r\n*3\r\n:1\r\n|1\r\n+popularity\r\n%1\r\n$1\r\na\r\n,0.5\r\n:2\r\n|0\r\n:3\r\n";
    let numbers = Value::Array(vec![Value::Int(1), Value::Int(2), Value::Int(3)]);
    assert_eq!(read(bytes, &[]), Ok(vec![Message::Reply(numbers)]));
}
