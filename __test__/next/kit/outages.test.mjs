// The same instances while Redis is away: at a build, at their start, in the middle; and what ends meanwhile.
import assert from 'node:assert/strict';
import { createRequire } from 'node:module';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { SITE } from './site.mjs';
import { KINDS, openStage, until } from './stage.mjs';

const { keptPort, startRedis } = createRequire(import.meta.url)('../../support/redis-server.js');
const ROUNDS = 5;

let stage;
before(async () => {
  stage = await openStage();
});
after(() => stage?.close());

/** Every kind is answered, by every instance: what is kept, and what nobody has asked for yet. */
async function allServe(instances, slugs) {
  for (let round = 0; round < ROUNDS; round++) {
    const paths = KINDS.flatMap((kind) => [...slugs, stage.slug()].map((slug) => `/${kind}/${slug}`));
    await Promise.all(instances.flatMap((instance) => paths.map((path) => stage.value(instance, path))));
  }
}

/** Waits until what one instance makes reaches the other one. */
async function untilShared(from, to) {
  await until(async () => {
    const path = `/cached/${stage.slug()}`;
    return (await stage.kept(from, path)) === (await stage.value(to, path));
  }, 'they share what they make');
}

test('a build needs no Redis', () => {
  assert.match(stage.built, /\/isr\/\[slug\]/);
});

for (const [how, away, back] of [
  ['hangs', () => stage.redis.kill('SIGSTOP'), () => stage.redis.kill('SIGCONT')],
  ['is killed', () => stage.redis.kill('SIGKILL'), () => stage.redis.restart()],
]) {
  test(`Redis ${how} in the middle: every request is answered, and they share again behind it`, async () => {
    const { one, two } = stage;
    const slug = stage.slug();
    await allServe([one, two], [slug]);
    await away();
    try {
      await allServe([one, two], [slug]);
    } finally {
      await back();
    }
    await allServe([one, two], [slug]);
    await untilShared(one, two);
  });
}

for (const kind of KINDS) {
  test(`${kind}: what ends while Redis is away has ended behind it, or the end fails`, async () => {
    const { one, two, redis } = stage;
    await untilShared(one, two);
    const slug = stage.slug();
    // The last one is asked for by nobody until Redis is back: what is rendered meanwhile would take its place.
    const paths = [slug, stage.slug(), stage.slug()].map((each) => `/${kind}/${each}`);
    const [byTag, byPath, unasked] = paths;
    const old = new Map();
    for (const path of paths) {
      old.set(path, await stage.kept(one, path));
      assert.equal(await stage.value(two, path), old.get(path));
    }
    await redis.kill('SIGSTOP');
    const statuses = [];
    try {
      statuses.push(await stage.end(one, 'now', slug));
      for (const path of [byPath, unasked]) statuses.push(await stage.end(one, 'path', path));
      if (statuses.some((status) => status >= 500)) return;
      for (const path of [byTag, byPath]) assert.notEqual(await stage.value(one, path), old.get(path));
    } finally {
      await redis.kill('SIGCONT');
    }
    for (const path of paths) {
      await stage.changed(two, path, old.get(path));
      for (const each of [one, two, one, two]) assert.notEqual(await stage.value(each, path), old.get(path));
    }
  });
}

test('Redis is away at the start: every request is answered; once it is there, it is used', async () => {
  const port = await keptPort('127.0.0.1');
  const third = await stage.start({ redisUrl: `redis://127.0.0.1:${port}` });
  await allServe([third], [stage.slug()]);
  const late = await startRedis({ port });
  try {
    await until(async () => {
      for (const kind of KINDS) await stage.value(third, `/${kind}/${stage.slug()}`);
      return Number(await late.cli('dbsize')) > 0;
    }, 'Redis is used');
  } finally {
    await late.stop();
  }
});

test('a standalone build has all that it needs, and shares with the others', async () => {
  const server = join(SITE, '.next/standalone/__test__/next/site/server.js');
  const alone = await stage.start({ server });
  for (const kind of KINDS) {
    const path = `/${kind}/${stage.slug()}`;
    assert.equal(await stage.kept(alone, path), await stage.value(stage.one, path));
  }
});
