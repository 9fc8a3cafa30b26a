//! Addresses as nodes name them, and redirects.

use crate::engine::base::error::Kind;
use crate::engine::fleet::endpoint::{AddressMap, Endpoint, Names, Redirect, Way};
use crate::engine::tests::fleet::{as_named, asked, asked_at_a_file, asked_over_tls, at, error};

#[test]
fn one_address_is_one_value_however_it_is_written() {
    for (one, other) in [("::1", "[::1]"), ("::1", "0:0:0:0:0:0:0:1"), ("Redis-1.Example", "redis-1.example")] {
        assert_eq!(at(one, 1), at(other, 1), "{other}");
    }
    assert_ne!(at("h", 1), at("h", 2));
    assert_eq!((at("[::1]", 7).host(), at("[::1]", 7).port()), ("::1", 7));
    assert_eq!([at("::1", 7).to_string(), at("10.0.0.1", 7).to_string()], ["[::1]:7", "10.0.0.1:7"]);
}

#[test]
fn what_cannot_be_dialled_is_no_address() {
    let longest = "x".repeat(253);
    assert!(Endpoint::new(&longest, 1).is_some());
    for host in ["", "[]", "?", "a b", "a\0b", "a\r\n", "[::1", "::1]", &format!("{longest}x")] {
        assert_eq!(Endpoint::new(host, 1), None, "{host}");
    }
    assert_eq!(Endpoint::new("h", 0), None);
}

#[test]
fn who_names_no_host_means_the_one_that_answered() {
    let (address, map) = (asked(), as_named());
    let names = Names::new(&address, &map);
    for host in ["", "0.0.0.0", "::", "[::]", "0:0:0:0:0:0:0:0"] {
        assert_eq!(names.endpoint(host, 7_001), Some(at("asked", 7_001)), "{host}");
    }
    assert_eq!(names.endpoint("?", 7_001), None);
    assert_eq!(names.endpoint("other", 0), None);
    let file = asked_at_a_file();
    assert_eq!(Names::new(&file, &map).endpoint("", 7_001), Some(at("localhost", 7_001)));
    assert!(!names.tls && Names::new(&asked_over_tls(), &map).tls);
}

#[test]
fn the_map_is_for_every_address_and_looked_up_once() {
    let address = asked();
    let map = AddressMap::from([
        (at("10.0.0.1", 6_379), at("localhost", 7_001)),
        (at("localhost", 7_001), at("wrong", 1)),
        (at("asked", 6_379), at("localhost", 7_002)),
    ]);
    let names = Names::new(&address, &map);
    assert_eq!(names.endpoint("10.0.0.1", 6_379), Some(at("localhost", 7_001)));
    assert_eq!(names.endpoint("10.0.0.1", 6_380), Some(at("10.0.0.1", 6_380)), "another port");
    assert_eq!(names.endpoint("", 6_379), Some(at("localhost", 7_002)));
    let moved = Redirect::of(&error("MOVED 1 10.0.0.1:6379"), &address, &map);
    assert_eq!(moved.map(|it| it.and_then(|it| it.to)), Ok(Some(at("localhost", 7_001))));
}

#[test]
fn a_redirect_says_which_slot_and_where_it_is() {
    let read = |line: &str| Redirect::of(&error(line), &asked(), &as_named());
    for (line, way, slot, to) in [
        ("MOVED 3999 127.0.0.1:6381", Way::Moved, 3_999, Some(at("127.0.0.1", 6_381))),
        ("ASK 3999 redis-2.example:6381", Way::Ask, 3_999, Some(at("redis-2.example", 6_381))),
        ("MOVED 1 ::1:7000", Way::Moved, 1, Some(at("::1", 7_000))),
        ("MOVED 1 [::1]:7000", Way::Moved, 1, Some(at("::1", 7_000))),
        ("MOVED 16383 :6381", Way::Moved, 16_383, Some(at("asked", 6_381))),
        ("ASK 0 0.0.0.0:6381", Way::Ask, 0, Some(at("asked", 6_381))),
        ("MOVED 3999 ?:6381", Way::Moved, 3_999, None),
        ("MOVED 3999 host:0", Way::Moved, 3_999, None),
        ("MOVED 3999 host:1 and what a later version adds", Way::Moved, 3_999, Some(at("host", 1))),
    ] {
        assert_eq!(read(line), Ok(Some(Redirect { way, slot, to })), "{line}");
    }
}

#[test]
fn another_error_is_no_redirect_and_a_broken_redirect_is_not_followed() {
    let read = |line: &str| Redirect::of(&error(line), &asked(), &as_named());
    for line in ["CLUSTERDOWN Hash slot not served", "TRYAGAIN later", "ERR MOVED 1 h:1", "CROSSSLOT no"] {
        assert_eq!(read(line), Ok(None), "{line}");
    }
    for line in [
        "MOVED",
        "ASK 1",
        "MOVED 1 host",
        "MOVED x host:1",
        "MOVED -1 host:1",
        "MOVED 16384 host:1",
        "MOVED 1 host:65536",
        "MOVED 1 host:",
    ] {
        let trouble = read(line).expect_err(line);
        assert_eq!(trouble.kind, Kind::Protocol, "{line}");
        assert!(!trouble.message.contains("host:"), "{trouble}");
    }
}
