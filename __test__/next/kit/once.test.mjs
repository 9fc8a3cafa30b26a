// What Next does not demand of a handler, and Holdfast does: what is missing or due is rendered in one instance.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { openStage, until } from './stage.mjs';

/** For a rendering too many to come: without it nothing is. */
const SPARE_MS = 500;
const ROUNDS = 5;

let stage;
before(async () => {
  stage = await openStage();
});
after(() => stage?.close());

for (const kind of ['cached', 'remote', 'stream']) {
  test(`${kind}: what nobody has is rendered in one of the instances that are asked at once`, async () => {
    const { one, two, origin } = stage;
    const name = `${kind}/${stage.slug()}`;
    const release = origin.hold(name);
    const values = Promise.all([one, two, one, two].map((instance) => stage.value(instance, `/${name}`)));
    await until(() => origin.count(name) > 0, 'it is being rendered');
    await sleep(SPARE_MS);
    release();
    assert.deepEqual(new Set(await values), new Set([`${name} 1`]));
    assert.equal(origin.count(name), 1);
  });
}

test('short: a page that is due is rendered in one instance, and served by both meanwhile', async () => {
  const { one, two, origin } = stage;
  const name = `short/${stage.slug()}`;
  const first = await stage.value(one, `/${name}`);
  const release = origin.hold(name);
  try {
    await until(async () => {
      await Promise.all([one, two].map((instance) => stage.value(instance, `/${name}`)));
      return origin.count(name) > 1;
    }, 'a new one is being made');
    for (let round = 0; round < ROUNDS; round++) {
      for (const instance of [one, two]) assert.equal(await stage.value(instance, `/${name}`), first);
    }
    await sleep(SPARE_MS);
    assert.equal(origin.count(name), 2);
  } finally {
    release();
  }
  for (const instance of [one, two]) await stage.changed(instance, `/${name}`, first);
});
