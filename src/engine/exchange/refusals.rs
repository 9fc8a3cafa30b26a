//! Tells what the server refuses: once when the connection is made, and once where a call meets it later.

use crate::engine::base::error::{Kind, Trouble};
use crate::engine::cache::namespace::Cache;
use crate::engine::cache::shared::Shared;
use crate::engine::net::denied::{Denied, Lack};
use crate::engine::net::reply::is_key;

/// Says what there is not, and what that means, unless it was `told` on the connection before. `prefix`: behind
/// which it was tried.
pub fn tell(denied: Denied, shared: &Shared, prefix: &str, told: &mut Denied) {
    let again = std::mem::replace(told, denied) == denied;
    let mut message = denied.commands();
    if [denied.get, denied.mget, denied.set, denied.unlink].contains(&Lack::Key) {
        if !message.is_empty() {
            message.push_str("; ");
        }
        if prefix.is_empty() {
            message.push_str(
                "the server's ACL denies this user keys that begin with NUL: \
                tags, and the locks of refreshes, may not work",
            );
        } else {
            message.push_str(&keys(prefix));
            shared.status.deny_keys(prefix);
        }
    }
    if message.is_empty() {
        return;
    }
    let trouble = Trouble::new(Kind::Denied, message);
    if again {
        return shared.status.remind(&trouble);
    }
    shared.errors.count(trouble.kind);
    shared.status.notice(&trouble);
}

fn keys(prefix: &str) -> String {
    let namespace = prefix.trim_end_matches(':');
    format!(
        "the server's ACL denies this user keys of the namespace {namespace}: reads of them are misses, \
                    and nothing is stored; give the user ~{prefix}*"
    )
}

/// Trouble with a call of `cache` after the connection was made: counted, and what nobody would see otherwise is said
/// once.
pub fn met(cache: &Cache, trouble: &Trouble) {
    let shared = cache.shared();
    shared.errors.count(trouble.kind);
    if !matches!(trouble.kind, Kind::Denied | Kind::Server) {
        return;
    }
    let prefix = cache.prefix.as_str();
    if is_key(trouble) && !prefix.is_empty() {
        shared.status.deny_keys(prefix);
        return shared.status.notice_once(&Trouble::new(Kind::Denied, keys(prefix)));
    }
    shared.status.notice_once(trouble);
}
