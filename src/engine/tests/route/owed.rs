//! Keys that are to be removed a little later, and a connection that ends before.

use std::time::Instant;

use crate::engine::conversation::undo::owed::Later;
use crate::engine::tests::support::cache;

#[test]
fn what_was_to_be_tried_again_is_owed_at_once_where_the_connection_ends() {
    let cache = cache(Some("redis://127.0.0.1:1/17".into()), "owed");
    let server = cache.shared().fleet.first().clone();
    let mut later = Later::new(Instant::now());
    for key in ["owed:held", "owed:replaced"] {
        let _ = server.journal.distrust(key);
        later.put(server.clone(), key.into());
    }
    server.journal.replaced("owed:replaced");
    drop(later);
    assert_eq!(server.journal.take_owed(), [Box::<str>::from("owed:held")]);
}
