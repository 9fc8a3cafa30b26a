// The list of the commands that Holdfast sends: it is that of the engine, and trying them changes nothing.
'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { COMMANDS } = require('../../cli/redis/commands.js');
const { ReplyError } = require('../../cli/redis/resp.js');
const { refusal } = require('../../cli/redis/refusal.js');
const { ROOT } = require('../support/holdfast');
const { ask, connect } = require('../support/fleet/client');
const { serverForAll } = require('../support/redis-server');

const ENGINE = path.join(ROOT, 'src', 'engine');
/** Commands that have commands of their own. */
const CONTAINERS = ['CLIENT', 'CLUSTER', 'SCRIPT', 'SENTINEL'];

/** What the engine's sources send: by `cmd("…")`, `with_key("…"` and its like, within scripts, and as bytes. */
function sentByEngine() {
  const files = fs
    .readdirSync(ENGINE, { recursive: true })
    .filter((name) => name.endsWith('.rs') && !name.split(path.sep).includes('tests'));
  const words = new Set();
  for (const file of files) {
    const text = fs.readFileSync(path.join(ENGINE, file), 'utf8').replace(/#\[cfg\(test\)\]\s*mod [\s\S]*$/, '');
    for (const [, name, more] of text.matchAll(/\bcmd\(\s*"([A-Z]+)"\s*\)(?:\s*\.arg\(\s*"([A-Z-]+)"\s*\))?/g)) {
      if (!CONTAINERS.includes(name)) words.add(name);
      else if (more) words.add(`${name} ${more}`);
    }
    for (const [, one, other] of text.matchAll(/\bcmd\(if [^{]*\{ "([A-Z]+)" \} else \{ "([A-Z]+)" \}\)/g)) {
      words.add(one).add(other);
    }
    for (const [, name] of text.matchAll(/\bwith_(?:key|marker)\(\s*"([A-Z]+)"/g)) words.add(name);
    for (const [, name] of text.matchAll(/\bp?call\('([A-Z]+)'/g)) words.add(name);
    // As bytes.
    for (const [, name] of text.matchAll(/\\r\\n([A-Z]+)\\r\\n/g)) words.add(name);
    for (const [, name] of text.matchAll(/\bbulk\(to, "([A-Z]+)"/g)) words.add(name);
  }
  return words;
}

test('the list has the commands of the engine, and no others', () => {
  expect(COMMANDS.map(({ words }) => words).sort()).toEqual([...sentByEngine()].sort());
});

describe('on a server', () => {
  const server = serverForAll({ config: ['maxmemory 64mb'] });

  const tries = COMMANDS.filter((command) => command.tries && command.of !== 'cluster' && !command.newer);

  test('trying them all changes nothing, refuses nothing, and is not refused', async () => {
    await server.cli('set', 'there', 'value');
    const before = await server.cli('info', 'persistence');
    for (const { words, tries: of } of tries) {
      for (const args of of('there-is-nothing')) {
        const reply = await ask(server, ...args).catch((error) => new ReplyError(error.message));
        expect({ words, refusal: refusal(reply) ?? 'other' }).toEqual({ words, refusal: 'other' });
      }
    }
    const changes = (text) => /rdb_changes_since_last_save:(\d+)/.exec(text)[1];
    expect(changes(await server.cli('info', 'persistence'))).toBe(changes(before));
    expect(await server.cli('keys', '*')).toBe('there');
  });

  test('a user who is denied one is told so, and by which words of the ACL it is granted', async () => {
    for (const { words, grant, tries: of } of tries) {
      const denied = words.split(' ')[0].toLowerCase();
      await server.cli('acl', 'setuser', 'app', 'reset', 'on', 'nopass', '~*', '+@all', `-${denied}`);
      const first = of('k')[0];
      const alone = { host: server.host, port: server.port, tls: null, password: null };
      const asUser = async () => {
        const client = await connect(alone);
        try {
          await client.ask('AUTH', 'app', 'any');
          return await client.ask(...first).catch((error) => new ReplyError(error.message));
        } finally {
          client.close();
        }
      };
      expect({ words, refusal: refusal(await asUser()) }).toEqual({ words, refusal: 'denied' });
      await server.cli('acl', 'setuser', 'app', grant);
      expect({ words, refusal: refusal(await asUser()) ?? 'other' }).toEqual({ words, refusal: 'other' });
    }
  });
});

test('refusals are told apart in the words of the servers', () => {
  const of = (text) => refusal(new ReplyError(text));
  expect(of("NOPERM this user has no permissions to run the 'scan' command")).toBe('denied');
  expect(of("NOPERM User app has no permissions to run the 'client|tracking' command")).toBe('denied');
  expect(of('NOPERM No permissions to access a key')).toBe('key');
  expect(of('NOPERM this user has no permissions to access one of the keys used as arguments')).toBe('key');
  expect(of("ERR unknown command 'GETDEL', with args beginning with: 'k'")).toBe('unknown');
  expect(of("ERR unknown subcommand 'TRACKING'. Try CLIENT HELP.")).toBe('unknown');
  expect(of("ERR command 'client|tracking' is not allowed")).toBe('denied');
  expect(of('MISCONF Redis is configured to save RDB snapshots')).toBe('state');
  const aborted =
    "EXECABORT Transaction discarded because of: NOPERM this user has no permissions to run the 'exec' command";
  expect(of(aborted)).toBe('denied');
  expect(of('ERR value is not an integer or out of range')).toBe('other');
  expect(of('NOSCRIPT No matching script.')).toBe('other');
  expect(refusal('OK')).toBeNull();
});
