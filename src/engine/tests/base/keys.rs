//! What no call may name: the keys of tags, refreshes and leases, with or without JavaScript's own check before it.

use crate::engine::base::clock::Ttl;
use crate::engine::cache::tell::status::Mode;
use crate::engine::call::batch::Op;
use crate::engine::call::reply::Reply;
use crate::engine::tests::support::{Calls, Client, Server, cache, in_mode};

fn calls(key: &str) -> Calls {
    Calls::default()
        .set(key, "1")
        .get(key)
        .add(key, "", |key, _| Op::Increment { key, amount: 1, ttl: None, more: None })
        .add(key, "", |key, _| Op::Exists { key })
        .add(key, "", |key, _| Op::Ttl { key })
        .add(key, "", |key, _| Op::Expire { key, ttl: Ttl::Forever })
}

#[test]
fn the_keys_of_tags_refreshes_and_leases_are_refused_and_those_of_leases_to_del_too() {
    let server = Server::start();
    for (url, mode) in [(None, Mode::Memory), (server.url(), Mode::Redis)] {
        let cache = cache(url, "app");
        in_mode(&cache, mode);
        let client = Client::new();
        for key in ["\0tag\0t", "\0refresh\0k"] {
            for reply in client.run(&cache, calls(key).0) {
                assert!(matches!(&reply, Reply::Error(error) if error.code == "ERR_INVALID_KEY"), "{reply:?}");
            }
            assert_eq!(client.run(&cache, Calls::default().del(key).0), [Reply::Number(0)]);
        }
        let del = client.run(&cache, Calls::default().del("\0lease\0n").0);
        for reply in client.run(&cache, calls("\0lease\0n").0).into_iter().chain(del) {
            assert!(matches!(&reply, Reply::Error(error) if error.code == "ERR_INVALID_KEY"), "{reply:?}");
        }
        for reply in client.run(&cache, calls("a\0tag\0t").0) {
            assert!(!matches!(reply, Reply::Error(_)), "{reply:?}");
        }
    }
}
