// Two instances of one build over one Redis: what one has rendered both serve, and what ends in one ends in both.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { KINDS, openStage, until } from './stage.mjs';

let stage;
before(async () => {
  stage = await openStage();
});
after(() => stage?.close());

for (const kind of KINDS) {
  const at = (slug) => `/${kind}/${slug}`;

  test(`${kind}: what one instance has made the other one serves, byte by byte`, async () => {
    const { one, two, origin } = stage;
    const path = at(stage.slug());
    const value = await stage.kept(one, path);
    const [mine, theirs] = [await one.ask(path), await two.ask(path)];
    assert.equal(theirs.value, value);
    if (kind !== 'stream') assert.deepEqual(theirs.bytes, mine.bytes);
    assert.equal(theirs.headers.get('x-kind'), mine.headers.get('x-kind'));
    assert.equal(theirs.bytes.toString().match(/<li>/g)?.length, mine.bytes.toString().match(/<li>/g)?.length);
    assert.equal(origin.count(path.slice(1)), 1);
  });

  const ways = {
    'revalidateTag at once': (slug) => stage.end(stage.one, 'now', slug),
    updateTag: (slug) => stage.act(stage.one, slug),
    revalidatePath: (slug) => stage.end(stage.one, 'path', at(slug)),
  };
  for (const [way, end] of Object.entries(ways)) {
    test(`${kind}: ${way} in one instance is seen by both`, async () => {
      const { one, two } = stage;
      const slug = stage.slug();
      const old = await stage.kept(one, at(slug));
      assert.equal(await stage.value(two, at(slug)), old);
      assert.ok((await end(slug)) < 400);
      assert.notEqual(await stage.value(one, at(slug)), old);
      await stage.changed(two, at(slug), old);
      // Nothing brings the old value back.
      for (const instance of [one, two, one, two]) assert.notEqual(await stage.value(instance, at(slug)), old);
    });
  }

  test(`${kind}: after revalidateTag with a profile both serve the old value while a new one is made`, async () => {
    const { one, two, origin } = stage;
    const slug = stage.slug();
    const old = await stage.kept(one, at(slug));
    assert.equal(await stage.value(two, at(slug)), old);
    const count = origin.count(`${kind}/${slug}`);
    const release = origin.hold(`${kind}/${slug}`);
    try {
      assert.equal(await stage.end(one, 'softly', slug), 200);
      await until(async () => {
        for (const instance of [one, two]) assert.equal(await stage.value(instance, at(slug)), old);
        return origin.count(`${kind}/${slug}`) > count;
      }, 'a new one is being made');
    } finally {
      release();
    }
    for (const instance of [one, two]) await stage.changed(instance, at(slug), old);
  });
}

for (const kind of ['short', 'brief']) {
  test(`${kind}: once its time is over both serve the old value while a new one is made`, async () => {
    const { one, two, origin } = stage;
    const name = `${kind}/${stage.slug()}`;
    const first = await stage.value(one, `/${name}`);
    const count = origin.count(name);
    const release = origin.hold(name);
    try {
      await until(async () => {
        for (const instance of [one, two]) assert.equal(await stage.value(instance, `/${name}`), first);
        return origin.count(name) > count;
      }, 'a new one is being made');
      assert.equal(await stage.value(one, `/${name}`), first);
      assert.equal(await stage.value(two, `/${name}`), first);
    } finally {
      release();
    }
    for (const instance of [one, two]) await stage.changed(instance, `/${name}`, first);
  });
}

test('no connection grows with requests', async () => {
  const { one, two, redis } = stage;
  const clients = async () => (await redis.cli('client', 'list')).split('\n').length;
  const ask = () =>
    Promise.all(KINDS.flatMap((kind) => [one, two].map((each) => each.ask(`/${kind}/${stage.slug()}`))));
  await ask();
  const before = await clients();
  for (let round = 0; round < 10; round++) {
    const answers = await ask();
    assert.ok(answers.every(({ status }) => status === 200));
  }
  assert.ok((await clients()) <= before, 'there are more connections than before');
});
