//! URLs and options of sentinels: what parses, what is refused, and that nothing secret is said.

use crate::engine::cache::options::{Given, Options};
use crate::engine::net::password::Password;
use crate::engine::net::seeds::{GivenSentinels, Seeds, Sentinels};
use crate::engine::net::target::{Address, Target, Trust, place};

fn sentinels(url: &str) -> Result<Sentinels, String> {
    match Seeds::parse(url, Trust::default()) {
        Ok(Seeds::Sentinels(sentinels)) => Ok(sentinels),
        Ok(Seeds::Server(_) | Seeds::Cluster(_)) => Err("no sentinels".into()),
        Err(error) => Err(format!("{} {}", error.code, error.message)),
    }
}

fn at(target: &Target) -> String {
    match &target.address {
        Address::Tcp { host, port, tls } => format!("{host} {port}{}", if tls.is_some() { " tls" } else { "" }),
        Address::Unix(_) => "unix".into(),
    }
}

#[test]
fn urls_name_hosts_master_database_and_both_kinds_of_credentials() {
    let url = "redis+sentinel://u:p%40%2C@h1:1,h2,[::1]:3/my%20master/4?sentinel_username=su&sentinel_password=s%26p";
    let found = sentinels(url).unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(found.nodes.iter().map(at).collect::<Vec<_>>(), ["h1 1", "h2 26379", "::1 3"]);
    assert_eq!(found.name, "my master");
    let primary = (
        found.primary.user.as_deref(),
        found.primary.password.as_ref().and_then(Password::text),
        found.primary.database,
    );
    assert_eq!(primary, (Some("u"), Some("p@,"), 4));
    for node in &found.nodes {
        assert_eq!(
            (node.user.as_deref(), node.password.as_ref().and_then(Password::text), node.database),
            (Some("su"), Some("s&p"), 0)
        );
    }
    for (url, name, database) in [
        ("redis-sentinel://h/main", "main", 0),
        ("REDIS+SENTINEL://:pw@h/main?db=3", "main", 3),
        ("redis-sentinel://:pw@h1,h2/2#main", "main", 2),
        ("valkey+sentinel://h#main", "main", 0),
    ] {
        let found = sentinels(url).unwrap_or_else(|e| panic!("{url}: {e}"));
        assert_eq!((found.name.as_str(), found.primary.database), (name, database), "{url}");
    }
    let secure = sentinels("rediss+sentinel://h/main").unwrap_or_else(|e| panic!("{e}"));
    assert_eq!(at(&secure.nodes[0]), "h 26379 tls");
    assert_eq!(at(&secure.server("p", 7)), "p 7 tls");
}

#[test]
fn what_does_not_parse_is_refused_without_repeating_it() {
    for url in [
        "redis+sentinel://u:hunter2@h1",
        "redis+sentinel://u:hunter2@h1/",
        "redis+sentinel://u:hunter2@/main",
        "redis+sentinel://u:hunter2@h1,,h2/main",
        "redis+sentinel://u:hunter2@h1:x/main",
        "redis+sentinel://u:hunter2@h1:0/main",
        "redis+sentinel://u:hunter2@[::1/main",
        "redis+sentinel://u:hunter2@[h]/main",
        "redis+sentinel://u:hunter2@h 1/main",
        "redis+sentinel://u:hunter2@h/main/x",
        "redis+sentinel://u:hunter2@h/main/70000",
        "redis+sentinel://u:hunter2@h/%ff",
        "redis+sentinel:hunter2",
    ] {
        let error = sentinels(url).err().unwrap_or_else(|| panic!("{url} parsed"));
        assert!(error.starts_with("ERR_CONFIG") && !error.contains("hunter2"), "{url}: {error}");
    }
}

#[test]
fn options_say_the_same_and_exclude_a_url() {
    let sentinel = |nodes: &[&str]| GivenSentinels {
        nodes: nodes.iter().map(|&node| node.to_owned()).collect(),
        name: "main".into(),
        password: Some("s".into()),
        address_map: vec![("10.0.0.1:6379".into(), "localhost:7001".into())],
        ..GivenSentinels::default()
    };
    let given = Given {
        sentinel: Some(sentinel(&["a:1", "b"])),
        username: Some("u".into()),
        password: Some(Password::Text("p".into())),
        database: Some(2.0),
        ..Given::default()
    };
    let seeds = Options::check(given.clone()).map(|options| options.seeds).unwrap_or_else(|e| panic!("{}", e.message));
    let Some(Seeds::Sentinels(found)) = seeds else { panic!("no sentinels") };
    assert_eq!(at(&found.server("10.0.0.1", 6379)), "localhost 7001");
    assert_eq!(at(&found.server("10.0.0.1", 6380)), "10.0.0.1 6380");
    assert_eq!(
        (found.primary.user.as_deref(), found.primary.password.as_ref().and_then(Password::text)),
        (Some("u"), Some("p"))
    );
    assert_eq!((found.primary.database, found.nodes[1].password.as_ref().and_then(Password::text)), (2, Some("s")));
    let text = format!("{:?}", Seeds::Sentinels(found));
    assert!(!text.contains("localhost"), "{text}");
    for wrong in [
        Given { url: Some("redis://h".into()), ..given.clone() },
        Given { sentinel: Some(sentinel(&[])), ..given.clone() },
        Given { sentinel: Some(sentinel(&["a:b:c"])), ..given.clone() },
        Given { database: Some(0.5), ..given.clone() },
    ] {
        assert!(Options::check(wrong).is_err_and(|e| e.code == "ERR_CONFIG"));
    }
    let given = Given {
        url: Some("redis://a:b@h/1".into()),
        password: Some(Password::Text("other".into())),
        ..Given::default()
    };
    let Ok(Some(Seeds::Server(target))) = Options::check(given).map(|options| options.seeds) else {
        panic!("no server")
    };
    assert_eq!((target.user.as_deref(), target.password.as_ref().and_then(Password::text)), (Some("a"), Some("other")));
}

#[test]
fn places_are_read_and_nonsense_is_not() {
    let read = |text: &str| place(text, 5).map(|(host, port)| format!("{host} {port}"));
    for (text, found) in [
        ("h", "h 5"),
        (" h.example:7 ", "h.example 7"),
        ("10.0.0.1:65535", "10.0.0.1 65535"),
        ("::1", "::1 5"),
        ("[::1]", "::1 5"),
        ("[fe80::1]:7", "fe80::1 7"),
        ("under_score-1", "under_score-1 5"),
    ] {
        assert_eq!(read(text).as_deref(), Some(found), "{text}");
    }
    for text in ["", ":7", "h:", "h:65536", "h:-1", "h/x", "[::1", "[]", "[::1]x", "h\r\nx", "ü", "a@b"] {
        assert_eq!(read(text), None, "{text}");
    }
}
