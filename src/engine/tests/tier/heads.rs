//! Patterns by their heads: the right ones are found, and few are tried.

use crate::engine::base::key::Prefix;
use crate::engine::base::pattern::Pattern;
use crate::engine::tier::heads::Heads;

const GLOBS: [&str; 14] =
    ["*", "", "a", "a*", "a:*", "ab*", "a?b", "a[bc]*", "\\a*", "*b", "a:1:*", "é*", "[^a]*", "a\\*"];
const KEYS: [&str; 12] = ["", "a", "b", "ab", "a:", "a:1:x", "a:2:x", "axb", "ac", "é", "a*", "z"];

fn patterns() -> Vec<Pattern> {
    let prefixes = ["", "n:", "n:a"].map(Prefix::new);
    prefixes.iter().flat_map(|prefix| GLOBS.map(|glob| Pattern::new(prefix, glob, false))).collect()
}

fn found(heads: &Heads<usize>, key: &str) -> Vec<usize> {
    let mut found: Vec<usize> = heads.matching(key.as_bytes()).copied().collect();
    found.sort_unstable();
    found
}

#[test]
fn the_patterns_that_match_a_key_are_found_and_no_others() {
    let patterns = patterns();
    let mut heads = Heads::default();
    for (at, pattern) in patterns.iter().enumerate() {
        heads.insert(pattern, at);
    }
    let check = |heads: &Heads<usize>, there: &dyn Fn(usize) -> bool| {
        for key in KEYS.iter().flat_map(|key| ["", "n:", "n:a"].map(|prefix| [prefix, key].concat())) {
            let all = patterns.iter().enumerate();
            let right: Vec<usize> =
                all.filter(|(at, p)| there(*at) && p.matches(key.as_bytes())).map(|(at, _)| at).collect();
            assert_eq!(found(heads, &key), right, "{key:?}");
        }
    };
    check(&heads, &|_| true);
    for (at, pattern) in patterns.iter().enumerate().filter(|(at, _)| at % 2 == 0) {
        heads.remove(pattern, |item| *item == at);
        assert!(heads.of(pattern).iter().all(|other| *other != at));
    }
    check(&heads, &|at| at % 2 == 1);
}

#[test]
fn of_many_patterns_a_key_is_tried_with_those_alone_whose_head_it_has() {
    let prefix = Prefix::new("app");
    let mut heads = Heads::default();
    for user in 0..10_000 {
        let pattern = Pattern::new(&prefix, &format!("user:{user}:*"), false);
        // Twice: the same pattern is tried once.
        heads.insert(&pattern, user);
        heads.insert(&pattern, user);
    }
    let key = [prefix.as_str(), "user:77:name"].concat();
    assert_eq!(heads.behind(key.as_bytes()).count(), 1);
    assert_eq!(found(&heads, &key), [77, 77]);
}
