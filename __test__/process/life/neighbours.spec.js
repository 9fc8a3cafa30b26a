// Process 40 and 41: close of the default cache, and forked processes.
'use strict';

const { serverForAll } = require('../../support/redis-server');
const { runForJson, startScript } = require('../../support/run-script');

const server = serverForAll();

test.each(['', 'redis'])(
  'fault 40: the default cache closes once, settles its calls first, then rejects (%j)',
  async (kind) => {
    const script = `
    const { set, get, close, createCache } = require('holdfast');
    (async () => {
      const order = [];
      const calls = Array.from({ length: 100 }, (_, i) => set('k' + i, i).then(() => order.push(i)));
      await Promise.all([...calls, close().then(() => order.push('closed')), close()]);
      const later = await get('k').catch((error) => error.code);
      const other = createCache({ namespace: 'other' });
      await other.set('k', 'alive');
      console.log(JSON.stringify([order.length, order.at(-1), later, await other.get('k')]));
    })();`;
    const env = { REDIS_URL: kind && server.url() };
    expect(await runForJson(script, { env })).toEqual([101, 'closed', 'ERR_CLOSED', 'alive']);
  },
);

const FORKED = `
  const { set, get, increment, getMode } = require('holdfast');
  const ready = async () => { while (getMode() !== 'redis') await new Promise((resolve) => setTimeout(resolve, 5)); };
  const tell = async () => {
    await ready();
    await set('from:' + process.pid, process.pid);
    await increment('forks');
    process.send({ pid: process.pid });
    process.once('message', async (pids) => {
      const seen = [];
      for (const pid of pids) seen.push(await get('from:' + pid));
      process.send({ seen }, () => process.disconnect());
    });
  };
  const lead = (children) => {
    const pids = [];
    const answers = [];
    for (const child of children) {
      child.on('message', ({ pid, seen }) => {
        if (pid && pids.push(pid) === children.length) {
          console.log('all ready');
          process.stdout.write(JSON.stringify(pids) + '\\n');
          process.once('SIGUSR2', () => children.forEach((each) => each.send(pids)));
        }
        if (seen && answers.push(seen) === children.length) console.log('answers ' + JSON.stringify(answers));
      });
    }
  };
`;

const FORKS = {
  'child_process.fork': `${FORKED}
    const { fork } = require('node:child_process');
    if (process.send) tell();
    else ready().then(() => lead([1, 2, 3].map(() => fork(__filename))));`,
  cluster: `${FORKED}
    const cluster = require('node:cluster');
    if (cluster.isWorker) tell();
    else ready().then(() => lead([1, 2, 3].map(() => cluster.fork().process)));`,
};

test.each(Object.keys(FORKS))('fault 41: processes of %s have their own connections and share Redis', async (kind) => {
  await server.cli('flushall');
  const script = startScript(FORKS[kind], { env: { REDIS_URL: server.url(), HOLDFAST_TIMEOUT_MS: '5000' } });
  await script.says(']\n');
  const clients = await server.cli('client', 'list', 'type', 'normal');
  expect(clients.split('\n').filter((line) => / addr=127/.test(line))).toHaveLength(4);
  const pids = JSON.parse(script.stdout.split('\n')[1]);
  script.kill('SIGUSR2');
  const result = await script.result;
  expect(result).toMatchObject({ code: 0, hung: false });
  expect(JSON.parse(result.stdout.split('answers ')[1])).toEqual([pids, pids, pids]);
  expect(await server.cli('get', 'forks')).toBe('3');
});
