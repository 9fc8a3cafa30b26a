// The table of flights (src/js/once/flights.js): how a flight reaches its followers, and how many flights are kept
// whose functions never settle.
'use strict';

const { Answer } = require('../src/js/base/ops');
const { Computer } = require('../src/js/once/compute');
const { Flight, Flights } = require('../src/js/once/flights');

/** A cache's computer, as far as flights need one. */
const computer = (scope = '1:app:') => ({ scope, idOf: (token) => token });

/** A caller that notes what it is told. */
function follower(flight) {
  const told = [];
  const caller = {
    told,
    landed: (_, ended) => told.push(ended),
    again: () => told.push('again'),
  };
  flight.followers.add(caller);
  return caller;
}

let flights;
let tokens;
beforeEach(() => {
  flights = new Flights();
  tokens = 0;
});

function begin(key, of = computer()) {
  const flight = new Flight(of, key, ++tokens, null);
  flights.add(flight);
  return flight;
}

/** Marks a flight as overdue, and forgets the one that loses its right to store for it. */
function overdue(flight) {
  const lost = flights.overdue(flight);
  if (lost !== null) flights.remove(lost);
  return lost;
}

test('what a flight came to is told once to each that still waits', () => {
  const flight = begin('k');
  const [one, two] = [follower(flight), follower(flight)];
  flight.followers.delete(two);
  flight.end({ value: 1, text: '1' });
  flight.end({ error: 'late' });
  expect([one.told, two.told]).toEqual([[{ value: 1, text: '1' }], []]);
  expect(flight.followers.size).toBe(0);
});

test('those who wait for a flight whose function never begins ask anew', () => {
  const flight = begin('k');
  const waiting = follower(flight);
  flight.scatter();
  flight.end({ value: 1, text: '1' });
  expect(waiting.told).toEqual(['again']);
});

test('of a key the two newest that are overdue are kept', () => {
  const [a, b, c, d] = Array.from({ length: 4 }, () => begin('k'));
  expect([a, b, c, d].map(overdue)).toEqual([null, null, a, b]);
  expect([...flights.byId.values()]).toEqual([c, d]);
  // One that ends makes room for the next.
  flights.remove(c);
  const e = begin('k');
  expect(overdue(e)).toBeNull();
  expect(overdue(begin('k'))).toBe(d);
});

test('of all keys a thousand are kept, the newest, and nothing is left of those that end', () => {
  const all = Array.from({ length: 1_500 }, (_, n) => begin(`k${n}`));
  const lost = all.map(overdue).filter((flight) => flight !== null);
  expect(lost).toEqual(all.slice(0, 500));
  expect(flights.byId.size).toBe(1_000);
  for (const flight of all) flights.remove(flight);
  expect([flights.byId.size, flights.late.size, flights.lateCount]).toEqual([0, 0, 0]);
});

test('caches of other namespaces share no bound of a key, and each finds its own', () => {
  const [one, two] = [computer('1:one:'), computer('1:two:')];
  const ones = Array.from({ length: 2 }, () => begin('k', one));
  const twos = Array.from({ length: 2 }, () => begin('k', two));
  expect([...ones, ...twos].map(overdue)).toEqual([null, null, null, null]);
  expect(flights.of(one)).toEqual(ones);
  expect(flights.of(two)).toEqual(twos);
});

test('an answer that nobody waits for any more may be an error, and ends nothing', async () => {
  const unhandled = [];
  const note = (error) => unhandled.push(error.message);
  process.on('unhandledRejection', note);
  const forgotten = [];
  const bridge = { forget: (waiter) => forgotten.push(waiter) };
  const declining = Object.assign(Object.create(Computer.prototype), { channel: { bridge }, send: () => {} });
  declining.decline('k', [Answer.WAIT, Promise.reject(new Error('late')), 8]);
  await new Promise((resolve) => setImmediate(resolve));
  process.off('unhandledRejection', note);
  expect({ forgotten, unhandled }).toEqual({ forgotten: [8], unhandled: [] });
});
