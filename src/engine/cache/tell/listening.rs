//! Listeners of `invalidate`: which of a cache's keys and tags somebody else changed, as the server's pushes say.
//!
//! While nobody listens, a push costs one look at a flag. Each cache that listens has an ear, which gathers names until
//! the event loop takes them: it is told that there are some once, and not once more for each. So what gathers while it
//! is blocked is one event, and bounded; beyond the bound, and where the changes have no names (a flush, a connection
//! that is lost, slots that move), an ear says that anything may have changed.
//!
//! What this process writes itself is pushed, too, and left out: see `Wire::wrote`.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::engine::base::key::{self, Prefix};
use crate::engine::call::sink::Sink;
use crate::engine::call::splice;

/// The most names that an ear gathers, and the most bytes of them.
pub const MAX_NAMES: usize = 10_000;
pub const MAX_NAME_BYTES: usize = 1 << 20;

/// The ears of an engine.
#[derive(Default)]
pub struct Listening {
    /// Whether there are any.
    any: Arc<AtomicBool>,
    ears: Mutex<Vec<Weak<Ear>>>,
}

/// What one cache of one environment has not been told yet.
pub struct Ear {
    prefix: Prefix,
    sink: Weak<dyn Sink>,
    /// What wakes the environment.
    message: String,
    gathered: Mutex<Gathered>,
}

#[derive(Default)]
struct Gathered {
    keys: BTreeSet<Box<str>>,
    tags: BTreeSet<Box<str>>,
    bytes: usize,
    anything: bool,
}

impl Listening {
    /// Gathers for a cache until the ear is dropped. `engine`: its number.
    pub fn listen(&self, engine: u32, prefix: &Prefix, sink: Weak<dyn Sink>) -> Arc<Ear> {
        let message = format!("{{\"engine\":{engine},\"event\":\"invalidate\"}}");
        let ear = Arc::new(Ear { prefix: prefix.clone(), sink, message, gathered: Mutex::default() });
        self.ears.lock().push(Arc::downgrade(&ear));
        self.any.store(true, Ordering::SeqCst);
        ear
    }

    /// Whether anybody listens, for who asks often.
    pub fn flag(&self) -> Arc<AtomicBool> {
        self.any.clone()
    }

    pub fn any(&self) -> bool {
        self.any.load(Ordering::SeqCst)
    }

    /// Somebody else changed a stored key.
    pub fn changed(&self, key: &str) {
        self.ears().iter().for_each(|ear| ear.hear(Some(key)));
    }

    /// Anything may have changed.
    pub fn lost(&self) {
        if self.any() {
            self.ears().iter().for_each(|ear| ear.hear(None));
        }
    }

    /// Those that are there still. No lock is held while one of them is told.
    fn ears(&self) -> Vec<Arc<Ear>> {
        let mut ears = self.ears.lock();
        ears.retain(|ear| ear.strong_count() > 0);
        self.any.store(!ears.is_empty(), Ordering::SeqCst);
        ears.iter().filter_map(Weak::upgrade).collect()
    }
}

impl Ear {
    /// `key`: a stored one; none for any.
    fn hear(&self, key: Option<&str>) {
        let is_first = {
            let mut gathered = self.gathered.lock();
            let before = gathered.is_empty();
            match key {
                Some(key) => key.strip_prefix(self.prefix.as_str()).into_iter().for_each(|name| gathered.add(name)),
                None => *gathered = Gathered { anything: true, ..Gathered::default() },
            }
            before && !gathered.is_empty()
        };
        if let Some(sink) = self.sink.upgrade().filter(|_| is_first) {
            sink.event(self.message.clone());
        }
    }

    /// What has gathered, as JSON, where anything has: `[keys,tags]`, sorted; nulls where anything may have changed.
    pub fn take(&self) -> Option<String> {
        let Gathered { keys, tags, anything, .. } = std::mem::take(&mut *self.gathered.lock());
        match (anything, keys.is_empty() && tags.is_empty()) {
            (true, _) => Some("[null,null]".to_owned()),
            (false, true) => None,
            (false, false) => Some(text(&[keys, tags])),
        }
    }
}

/// Lists of names, as JSON.
fn text(lists: &[BTreeSet<Box<str>>]) -> String {
    let mut text = String::from("[");
    for names in lists {
        text.push('[');
        for name in names {
            splice::string(&mut text, name);
            text.push(',');
        }
        if !names.is_empty() {
            text.pop();
        }
        text.push_str("],");
    }
    text.pop();
    text.push(']');
    text
}

impl Gathered {
    fn is_empty(&self) -> bool {
        !self.anything && self.keys.is_empty() && self.tags.is_empty()
    }

    /// A name without the cache's prefix.
    fn add(&mut self, name: &str) {
        let (names, name) = match name.strip_prefix(key::TAG) {
            Some(tag) => (&mut self.tags, tag),
            None if key::is_internal(name.as_bytes()) => return,
            None => (&mut self.keys, name),
        };
        if self.anything || !names.insert(name.into()) {
            return;
        }
        self.bytes += name.len();
        if self.keys.len() + self.tags.len() > MAX_NAMES || self.bytes > MAX_NAME_BYTES {
            *self = Self { anything: true, ..Self::default() };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use parking_lot::Mutex;

    use super::{Ear, Listening, MAX_NAME_BYTES, MAX_NAMES};
    use crate::engine::base::key::Prefix;
    use crate::engine::call::reply::Reply;
    use crate::engine::call::sink::{Sink, Versions};

    #[derive(Default)]
    struct Woken(Mutex<Vec<String>>);

    impl Sink for Woken {
        fn client(&self) -> u32 {
            1
        }
        fn closed(&self) -> bool {
            false
        }
        fn complete(&self, _id: u32, _replies: &[Reply]) {}
        fn complete_some(&self, _id: u32, _places: &[u32], _replies: &[Reply]) {}
        fn event(&self, json: String) {
            self.0.lock().push(json);
        }
        fn versions(&self) -> Option<Arc<dyn Versions>> {
            None
        }
    }

    fn ear(listening: &Listening, namespace: &str) -> (Arc<Woken>, Arc<Ear>) {
        let woken = Arc::new(Woken::default());
        let sink: Arc<dyn Sink> = woken.clone();
        (woken, listening.listen(7, &Prefix::new(namespace), Arc::downgrade(&sink)))
    }

    #[test]
    fn an_ear_gathers_the_names_of_its_own_cache_and_wakes_once_until_they_are_taken() {
        let listening = Listening::default();
        let (woken, ear) = ear(&listening, "app");
        ["other:k", "app:\0refresh\0k", "app2:k"].into_iter().for_each(|key| listening.changed(key));
        assert_eq!((woken.0.lock().len(), ear.take()), (0, None));
        ["app:b", "app:a", "app:a", "app:\0tag\0t"].into_iter().for_each(|key| listening.changed(key));
        assert_eq!(*woken.0.lock(), [r#"{"engine":7,"event":"invalidate"}"#]);
        assert_eq!(ear.take().as_deref(), Some(r#"[["a","b"],["t"]]"#));
        listening.changed("app:c");
        assert_eq!((woken.0.lock().len(), ear.take().as_deref()), (2, Some(r#"[["c"],[]]"#)));
        assert_eq!(ear.take(), None);
    }

    #[test]
    fn beyond_the_bounds_or_without_names_anything_may_have_changed() {
        let listening = Listening::default();
        let (woken, ear) = ear(&listening, "");
        let anything = || assert_eq!(ear.take().as_deref(), Some("[null,null]"));
        (0..=MAX_NAMES).for_each(|n| listening.changed(&n.to_string()));
        listening.changed("more");
        anything();
        ["x", "y"].into_iter().for_each(|name| listening.changed(&name.repeat(MAX_NAME_BYTES / 2 + 1)));
        anything();
        listening.changed("k");
        listening.lost();
        anything();
        assert_eq!((woken.0.lock().len(), ear.take()), (3, None));
        (0..MAX_NAMES).for_each(|n| listening.changed(&n.to_string()));
        assert!(ear.take().is_some_and(|names| names.starts_with(r#"[["0","1","10""#)));
    }

    #[test]
    fn nobody_listens_once_the_last_ear_is_gone() {
        let listening = Listening::default();
        assert!(!listening.any());
        let (_, one) = ear(&listening, "one");
        let (_, other) = ear(&listening, "other");
        drop(one);
        listening.changed("k");
        assert!(listening.any());
        drop(other);
        listening.changed("k");
        assert!(!listening.any());
    }
}
