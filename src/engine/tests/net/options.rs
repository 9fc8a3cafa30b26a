//! Options and URLs: what parses, what is refused, and that nothing secret is said.

use crate::engine::cache::options::{Given, Options, bytes};
use crate::engine::net::password::Password;
use crate::engine::net::target::{Address, Target, Trust};

fn target(url: &str) -> Result<Target, String> {
    Target::parse(url, Trust::default()).map_err(|e| format!("{} {}", e.code, e.message))
}

#[test]
fn urls_of_every_provider_parse() {
    let tcp = |url: &str| match target(url).map(|t| (t.address.clone(), t)) {
        Ok((Address::Tcp { host, port, tls }, t)) => {
            let password = t.password.as_ref().and_then(Password::text).map(str::to_owned);
            (host, port, tls.is_some(), t.user, password, t.database)
        }
        _ => panic!("{url} is no TCP URL"),
    };
    let s = |text: &str| Some(text.to_owned());
    assert_eq!(tcp("redis://h"), ("h".into(), 6379, false, None, None, 0));
    assert_eq!(tcp("rediss://u:p%40%3A%2F%23%25@h:1/3"), ("h".into(), 1, true, s("u"), s("p@:/#%"), 3));
    assert_eq!(tcp("redis://:pw@h:7/"), ("h".into(), 7, false, None, s("pw"), 0));
    assert_eq!(
        tcp("valkeys://default:x@h.up.example?family=0"),
        ("h.up.example".into(), 6379, true, s("default"), s("x"), 0)
    );
    assert_eq!(tcp("valkey://[::1]:7/2"), ("::1".into(), 7, false, None, None, 2));
    for url in
        ["unix:/tmp/r.sock?db=4&pass=x", "redis+unix:///tmp/r.sock?db=4&pass=x", "unix:///tmp/r.sock?db=4&pass=x"]
    {
        let t = target(url).unwrap_or_else(|e| panic!("{e}"));
        assert!(matches!(&t.address, Address::Unix(p) if p.to_str() == Some("/tmp/r.sock")), "{url}");
        assert_eq!((t.database, t.password.as_ref().and_then(Password::text)), (4, Some("x")), "{url}");
    }
}

#[test]
fn how_redis_is_reached_is_told_by_what_was_parsed() {
    for (url, kind) in
        [("REDIS://h", "tcp"), (" Rediss://h ", "tls"), ("VALKEYS://h", "tls"), ("unix:/tmp/rediss:x", "unix")]
    {
        assert_eq!(target(url.trim()).map(|t| t.kind()), Ok(kind), "{url}");
    }
}

#[test]
fn what_does_not_parse_is_refused_without_repeating_it() {
    for url in [
        "redis//bad:hunter2",
        "http://u:hunter2@h",
        "redis://:hunter2@",
        "redis://u:hunter2@h/x",
        "redis://u:hunter2@h/-1",
        "rediss://u:hunter2@h#insecure",
        "redis://u:hunter2@h:99999",
        "redis://u:%ffhunter2@h",
        "unix:",
        "hunter2",
    ] {
        let error = target(url).err().unwrap_or_else(|| panic!("{url} parsed"));
        assert!(error.starts_with("ERR_CONFIG"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_target_prints_no_secret() {
    let t = target("rediss://user:hunter2@secret-host/1").unwrap_or_else(|e| panic!("{e}"));
    let text = format!("{t:?}");
    assert!(!text.contains("hunter2") && !text.contains("secret-host"), "{text}");
}

#[test]
fn sizes_are_read_and_nonsense_is_not() {
    assert_eq!(bytes("64mb"), Ok(64 << 20));
    assert_eq!(bytes("64 MiB"), Ok(64 << 20));
    assert_eq!(bytes("1.5gb"), Ok(3 << 29));
    assert_eq!(bytes("131072"), Ok(131_072));
    for bad in ["", "mb", "-1mb", "1tb", "NaN", "inf", "1", "1e99"] {
        assert!(bytes(bad).is_err(), "{bad}");
    }
}

#[test]
fn namespaces_hold_no_separator_and_no_glob() {
    let given = |namespace: &str| Given { namespace: namespace.into(), ..Given::default() };
    for good in ["", "a", "A-b_c.9", &"x".repeat(64)] {
        assert!(Options::check(given(good)).is_ok(), "{good}");
    }
    for bad in ["a:b", "a*", "ä", " ", &"x".repeat(65)] {
        assert!(Options::check(given(bad)).is_err(), "{bad}");
    }
}

#[test]
fn time_outs_have_bounds() {
    for (ms, ok) in [(1.0, true), (60_000.0, true), (0.0, false), (-1.0, false), (f64::NAN, false), (60_001.0, false)] {
        assert_eq!(Options::check(Given { timeout_ms: Some(ms), ..Given::default() }).is_ok(), ok, "{ms}");
    }
}
