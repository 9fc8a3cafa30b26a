//! What fails within the router: nobody waits for ever, and the cluster is in use again a little later.

use std::sync::Arc;

use crate::engine::call::batch::Batch;
use crate::engine::call::reply::{Reply, Submitted};
use crate::engine::call::sink::{ReplyTo, Sink, Versions};
use crate::engine::fleet::slot::slot_of;
use crate::engine::tests::support::{Calls, Client, Server, patient, until};

/// The slots that have a server.
const SERVED: u16 = 8_192;

/// A client that fails as it is told a part of its batch.
struct Broken;

impl Sink for Broken {
    fn client(&self) -> u32 {
        1
    }

    fn closed(&self) -> bool {
        false
    }

    fn complete(&self, _id: u32, _replies: &[Reply]) {}

    fn complete_some(&self, _id: u32, _places: &[u32], _replies: &[Reply]) {
        panic!("a client that fails, as this test wants it to");
    }

    fn event(&self, _json: String) {}

    fn versions(&self) -> Option<Arc<dyn Versions>> {
        None
    }
}

fn key(is_served: bool) -> String {
    (0..).map(|n| format!("k{n}")).find(|key| (slot_of(key.as_bytes()) < SERVED) == is_served).unwrap_or_default()
}

#[test]
fn what_fails_within_the_router_is_an_outage_like_another() {
    let server = Server::cluster(SERVED);
    let (cache, client) = (patient(&server, "", false), Client::new());
    let (served, unserved) = (key(true), key(false));
    let set = |value: &str| client.run(&cache, Calls::default().set(&served, value).0);
    let lies = || redis::cmd("GET").arg(&served).query::<Option<String>>(&mut server.connection()).ok().flatten();
    assert_eq!((set("1"), lies().as_deref()), (vec![Reply::Done], Some("1")));
    // Its answer is still to come when the router fails.
    server.signal("-STOP");
    let under_way = cache.submit(Calls::default().get(&served).0, &client.to(1));
    assert!(matches!(under_way, Submitted::Later));
    // What nobody serves is answered at once, and told as the other part of its batch lets that wait: by the router.
    let batch: Batch = Calls::default().get(&served).get(&unserved).0;
    let failing = cache.submit(batch, &ReplyTo { sink: Arc::new(Broken), id: 1 });
    assert!(matches!(failing, Submitted::Later));
    assert_eq!(until("the call that was under way", || client.reply(1)), [Reply::Miss]);
    server.signal("-CONT");
    let mut value = 1;
    until("the cluster to be in use again", || {
        value += 1;
        assert_eq!(set(&value.to_string()), [Reply::Done]);
        (lies() == Some(value.to_string())).then_some(())
    });
}
