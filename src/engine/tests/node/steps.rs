//! A node in steps: what comes is taken, whoever brings it, and whoever drives the node next loses nothing.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use crate::engine::base::clock::millis_of;
use crate::engine::call::batch::{Batch, Task};
use crate::engine::call::reply::{Reply, Submitted};
use crate::engine::call::sink::ReplyTo;
use crate::engine::call::vouched::UNSEEN;
use crate::engine::conversation::stand_in::{BLOCKED, UNWRITTEN};
use crate::engine::front::Front;
use crate::engine::net::wire::HELD_UP;
use crate::engine::node::state::Wish;
use crate::engine::node::steps::{Driven, Event, Steps};
use crate::engine::once::lease::{Holder, LONGEST, RENEWAL};
use crate::engine::once::waiters::{Begin, Caller, Lease, Outcome};
use crate::engine::tests::node::world::{Listener, Server, World, filled, found};
use crate::engine::value::codec::Codec;

/// An event loop that makes the steps, and its server.
struct Loop {
    steps: Arc<Steps>,
    front: Front,
    listener: Arc<Listener>,
    server: Server,
    output: Vec<u8>,
    rings: Arc<AtomicUsize>,
}

impl Loop {
    fn new() -> Self {
        let World { node, jobs, front, listener, server, .. } = World::new(Server::default());
        let (steps, rings) = (Arc::new(Steps::new(Driven { node, jobs }, drop)), Arc::new(AtomicUsize::new(0)));
        let count = rings.clone();
        steps.attach(Box::new(move || _ = count.fetch_add(1, Ordering::SeqCst)));
        Self { steps, front, listener, server, output: Vec::new(), rings }
    }

    /// One whose node is to move while a `set` of `k` is written and not answered; where it comes out.
    fn that_moves() -> (Self, Receiver<Driven>) {
        let mut event_loop = Self::new();
        event_loop.settle();
        event_loop.steps.announce();
        event_loop.call(1, "k", Some("1"));
        event_loop.steps.step(Event::Turn, &mut event_loop.output);
        let (send, moved) = channel();
        event_loop.steps.hand_over(move |driven| send.send(driven).expect("it is awaited"));
        (event_loop, moved)
    }

    /// Makes steps until nothing is left to do; whether the node is gone then.
    fn settle(&mut self) -> bool {
        let mut done = self.steps.step(Event::Turn, &mut self.output);
        loop {
            for wish in self.steps.wishes() {
                if matches!(wish, Wish::Dial(..)) {
                    done = self.steps.step(Event::Connected, &mut self.output);
                }
            }
            let sent = std::mem::take(&mut self.output);
            if sent.is_empty() || done.gone {
                return done.gone;
            }
            let replies = self.server.answer(&sent);
            done = self.steps.step(Event::Bytes(&replies), &mut self.output);
        }
    }

    fn call(&self, id: u32, key: &str, value: Option<&str>) {
        let to = ReplyTo { sink: self.listener.clone(), id };
        assert!(matches!(self.front.submit(filled(key, value, Batch::default()), &to), Submitted::Later));
    }

    fn reply(&self, id: u32) -> Option<Vec<Reply>> {
        self.listener.reply(id)
    }

    /// A function of the event loop begins to compute `app:k` under a lease; the marker of that.
    fn lead(&self, id: u32) -> Holder {
        let shared = self.front.shared();
        let to = || ReplyTo { sink: self.listener.clone(), id };
        let caller = || Caller { to: to(), window: 0, many: false, codec: Codec::Json };
        let Begin::Read(token) = shared.flights.begin("app:k", caller(), 0) else { panic!("it is computed already") };
        assert!(shared.flights.hold("app:k", token, caller(), None));
        shared.flights.lead_first("app:k", token, Lease::Key, millis_of(Instant::now())).answers.send();
        Holder { engine: shared.name, token }
    }

    fn rung(&self) -> usize {
        self.rings.swap(0, Ordering::SeqCst)
    }
}

#[test]
fn calls_are_written_in_the_step_that_takes_them_and_need_no_ring() {
    let mut event_loop = Loop::new();
    assert!(!event_loop.settle());
    event_loop.rung();
    event_loop.steps.announce();
    event_loop.call(1, "k", Some("1"));
    event_loop.call(2, "k", None);
    assert_eq!(event_loop.rung(), 0, "the step follows");
    event_loop.settle();
    assert_eq!((event_loop.reply(1), event_loop.reply(2)), (Some(vec![Reply::Done]), found("1")));
}

#[test]
fn what_comes_from_elsewhere_rings_once_until_the_next_step() {
    let mut event_loop = Loop::new();
    event_loop.settle();
    event_loop.rung();
    for id in 1..4 {
        event_loop.call(id, "k", None);
    }
    assert_eq!(event_loop.rung(), 1);
    event_loop.settle();
    assert_eq!(event_loop.reply(3), Some(vec![Reply::Miss]));
    event_loop.call(4, "k", None);
    assert_eq!(event_loop.rung(), 1);
}

#[test]
fn a_node_that_moves_answers_what_is_under_way_and_takes_what_waits_along() {
    let (mut event_loop, moved) = Loop::that_moves();
    event_loop.call(2, "k", None);
    assert!(moved.try_recv().is_err(), "a call is under way");
    assert!(event_loop.settle(), "the node is gone");
    assert_eq!(event_loop.reply(1), Some(vec![Reply::Done]), "by the server");
    let driven = moved.try_recv().expect("it has moved");
    assert_eq!(event_loop.reply(2), None, "it waits in the queue");
    // A second owner goes on where the first one left it.
    event_loop.steps = Arc::new(Steps::new(driven, drop));
    assert!(!event_loop.settle());
    assert_eq!(event_loop.reply(2), found("1"));
}

#[test]
fn a_node_does_not_move_while_long_work_is_under_way_on_it() {
    let mut event_loop = Loop::new();
    event_loop.settle();
    event_loop.steps.announce();
    let to = ReplyTo { sink: event_loop.listener.clone(), id: 1 };
    assert!(event_loop.front.run(Task::Clear { flush_db: false }, &to).is_none(), "it is done by the server");
    event_loop.steps.step(Event::Turn, &mut event_loop.output);
    let (send, moved) = channel();
    event_loop.steps.hand_over(move |driven| send.send(driven).expect("it is awaited"));
    assert!(moved.try_recv().is_err() && event_loop.reply(1).is_none(), "no call is under way, but the clear is");
    assert!(event_loop.settle(), "the node is gone");
    assert_eq!(event_loop.reply(1), Some(vec![Reply::Number(0)]), "by the server");
    assert!(moved.try_recv().is_ok());
}

#[test]
fn an_event_loop_that_is_blocked_keeps_its_node_from_nobody() {
    let (mut event_loop, moved) = Loop::that_moves();
    let since = |event_loop: &Loop| {
        event_loop.front.health(false).parse::<serde_json::Value>().expect("JSON")["since"].as_u64()
    };
    let before = since(&event_loop);
    event_loop.steps.seize();
    assert!(moved.try_recv().is_ok());
    assert_eq!(event_loop.reply(1), Some(vec![Reply::Done]), "on the in-process tier");
    assert!(since(&event_loop) > before, "whoever compares sees that it is another connection");
    assert!(event_loop.settle(), "the owner finds it gone");
}

#[test]
fn what_is_held_is_not_served_before_a_busy_event_loop_has_looked_at_its_socket() {
    let mut event_loop = Loop::new();
    event_loop.settle();
    event_loop.call(1, "k", Some("1"));
    event_loop.settle();
    event_loop.call(2, "k", None);
    event_loop.settle();
    event_loop.steps.looked(Instant::now());
    let held = |event_loop: &Loop| event_loop.front.peek("k", None).is_some();
    assert!(!event_loop.steps.is_blind() && held(&event_loop));
    std::thread::sleep(Duration::from_millis(UNSEEN + 5));
    assert!(event_loop.steps.is_blind() && !held(&event_loop));
    event_loop.steps.looked(Instant::now());
    assert!(!event_loop.steps.is_blind() && held(&event_loop));
    // Another client changed it meanwhile, as the push says that lies there.
    event_loop.steps.step(Event::Bytes(b">2\r\n$10\r\ninvalidate\r\n*1\r\n$5\r\napp:k\r\n"), &mut event_loop.output);
    assert!(!held(&event_loop));
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[test]
fn the_leases_of_an_event_loop_that_is_blocked_are_renewed_by_another_hand() {
    let mut event_loop = Loop::new();
    event_loop.settle();
    let steps = event_loop.steps.clone();
    let watch = || steps.step(Event::Turn, &mut Vec::new()).watch;
    assert_eq!(watch(), None, "nothing is held");
    let holder = event_loop.lead(1);
    assert_eq!((watch(), watch()), (Some(BLOCKED), None), "one looks after it, and not a second one");
    let (now, mut output) = (Instant::now(), Vec::new());
    let next = steps.stand_in(now, &mut output);
    assert!(next.is_some_and(|next| next <= BLOCKED) && output.is_empty(), "it makes steps");
    let blocked = now + BLOCKED;
    assert_eq!(steps.stand_in(blocked, &mut output), Some(UNWRITTEN));
    assert!(holds(&output, b"app:k") && holds(&output, &holder.marker()));
    // The socket does not take it: what is renewed a second time would only lie behind it.
    let written = output.len();
    assert_eq!(steps.stand_in(blocked + RENEWAL, &mut output), Some(UNWRITTEN));
    assert_eq!(output.len(), written);
    event_loop.output = std::mem::take(&mut output);
    assert_eq!(steps.stand_in(blocked + UNWRITTEN, &mut output), Some(RENEWAL - UNWRITTEN));
    assert_eq!(steps.stand_in(blocked + RENEWAL, &mut output), Some(UNWRITTEN));
    assert!(holds(&output, &holder.marker()), "each second");
    // The event loop reads the replies in their turn.
    event_loop.output.append(&mut output);
    event_loop.call(2, "k", Some("1"));
    event_loop.call(3, "k", None);
    event_loop.settle();
    assert_eq!((event_loop.reply(2), event_loop.reply(3)), (Some(vec![Reply::Done]), found("1")));
}

#[test]
fn what_is_over_is_not_renewed_and_the_next_lease_is_looked_after_anew() {
    let mut event_loop = Loop::new();
    event_loop.settle();
    let steps = event_loop.steps.clone();
    let mut output = Vec::new();
    let ends: [fn(&Loop, u32); 2] = [
        |event_loop, token| event_loop.front.shared().flights.end("app:k", token, Outcome::Failed).send(),
        |event_loop, _| _ = event_loop.front.shared().flights.fence("app:k"),
    ];
    for (id, end) in (1..).zip(ends) {
        let holder = event_loop.lead(id);
        assert_eq!(steps.step(Event::Turn, &mut Vec::new()).watch, Some(BLOCKED));
        end(&event_loop, holder.token);
        assert_eq!(steps.stand_in(Instant::now() + BLOCKED, &mut output), None);
    }
    // Nor for ever, should the event loop never come back.
    event_loop.lead(3);
    assert_eq!(steps.step(Event::Turn, &mut Vec::new()).watch, Some(BLOCKED));
    assert_eq!(steps.stand_in(Instant::now() + LONGEST, &mut output), None);
    assert!(output.is_empty());
    steps.end();
    assert_eq!(steps.stand_in(Instant::now() + BLOCKED, &mut output), None, "the event loop has ended");
}

#[test]
fn a_renewal_whose_reply_nobody_has_read_yet_is_no_outage_and_a_server_that_is_away_is_one() {
    let mut event_loop = Loop::new();
    event_loop.settle();
    let steps = event_loop.steps.clone();
    event_loop.lead(1);
    let mut output = Vec::new();
    steps.step(Event::Turn, &mut output);
    std::thread::sleep(BLOCKED);
    assert_eq!(steps.stand_in(Instant::now(), &mut output), Some(UNWRITTEN));
    // The event loop comes back a little behind the deadline, and its timers fire before it reads.
    std::thread::sleep(event_loop.front.shared().patience() + HELD_UP / 3);
    assert!(!steps.step(Event::Moment, &mut Vec::new()).wishes);
    std::thread::sleep(HELD_UP + HELD_UP / 3);
    assert!(steps.step(Event::Moment, &mut Vec::new()).wishes, "the connection is given up");
}
