//! Calls that came back from a server, on their way to another one: the part of the router that decides where they go.
//! How long they wait, and who waits behind them, is for [`super::detours`].

use std::time::Instant;

use crate::engine::base::{clock, mutant};
use crate::engine::cache::job::{AskedFor, Awaited};
use crate::engine::call::batch::Op;
use crate::engine::route::back::detours::{self, HOPS_OF_A_STRANGER, Item, MOST_HOPS, Ready};
use crate::engine::route::joint::{Bounced, News};
use crate::engine::route::router::Router;
use crate::engine::route::split::{Calls, slot_of_one};
use crate::engine::value::tags::Tokens;

impl Router {
    /// What is there of calls that came back, and of slots that left a server; whether anything is.
    pub(in crate::engine::route) fn hear(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Ok(news) = self.news.try_recv() {
            any = true;
            self.heard(news, now);
        }
        if let Some(cluster) = self.shared.fleet.cluster() {
            let left = cluster.take_left();
            if !left.is_empty() {
                self.detours.left(left);
            }
        }
        any
    }

    pub(in crate::engine::route) fn heard(&mut self, news: News, now: Instant) {
        if let News::Bounced(bounced) = news {
            bounced.into_iter().for_each(|one| self.back(one, now));
        }
    }

    /// A call came back.
    fn back(&mut self, bounced: Bounced, now: Instant) {
        let Bounced { joint, place, batch, bounce, from, hops, tokens } = bounced;
        let hops = hops.saturating_add(1);
        let Some(slot) = slot_of_one(&joint, &batch) else { return };
        let tried_again = !bounce.asks && bounce.to == from;
        let until = detours::pause(hops, tried_again).map(|pause| now + pause.mul_f64(self.shared.random.part()));
        if bounce.unserved {
            let applied = self.shared.fleet.unserved(slot, from);
            self.shared.moved(&applied, clock::millis_of(now));
        }
        let asks = bounce.asks.then_some(bounce.to);
        let mut tokens = Some(Awaited { known: tokens, coming: Vec::new() }).filter(|_| !batch.extras.is_empty());
        if mutant::lacks("pinned") {
            tokens = self.ask_tokens(&joint, &batch, clock::millis_of(now)).awaited;
        }
        let item = Item { joint, place, batch, hops, asks, tokens };
        if hops > MOST_HOPS {
            return self.give_up(item);
        }
        if hops >= HOPS_OF_A_STRANGER && !tried_again {
            self.shared.fleet.suspect(from);
        }
        self.detours.back(slot, item, from, until);
    }

    /// Nobody can be found who does it: it is answered in process.
    pub(in crate::engine::route) fn give_up(&mut self, item: Item) {
        let Item { joint, place, batch, hops, .. } = item;
        self.send_part(Calls { server: 0, batch, places: vec![place] }, &joint, hops, false, AskedFor::default());
    }

    /// Sends what may go now; whether anything did.
    pub(in crate::engine::route) fn go_on(&mut self, now: Instant) -> bool {
        let mut any = false;
        while let Some(Ready { slot, items, asks }) = self.detours.ready(now) {
            any = true;
            let owner = self.shared.fleet.cluster().map_or(0, |cluster| cluster.owner(slot));
            let to = asks.unwrap_or(owner);
            let mut last = None;
            // Writes that waited go only now.
            if let Some(replicas) = &mut self.replicas
                && items.iter().any(|item| item.batch.ops.iter().any(Op::writes))
            {
                replicas.written(&self.shared, slot, clock::millis_of(now));
            }
            for Item { joint, place, batch, hops, tokens, .. } in items {
                let asked = AskedFor { known: Tokens::new(), awaited: tokens };
                let calls = Calls { server: to, batch, places: vec![place] };
                let number = self.send_part(calls, &joint, hops, asks.is_some(), asked);
                last = Some((to, number));
            }
            self.detours.sent(slot, last, asks.is_some());
        }
        any
    }
}
