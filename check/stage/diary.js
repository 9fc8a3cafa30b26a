// Owns the diary of a thread that may end in the middle of its calls, together with its process: what it has noted
// until then is its history. It lies in a file, as nothing that a process holds, or has on its way to another one, is
// sure to outlive it.
'use strict';

const fs = require('node:fs');

class Diary {
  #file;

  /** @param {string} path a file of an earlier schedule is written anew */
  constructor(path) {
    this.#file = fs.openSync(path, 'w');
  }

  /**
   * At once, so that nothing takes effect which is not in it.
   *
   * @param {{ record?: object, drop?: number, event?: object }} note a call, which may be told again as more is known;
   *   one that is not worth remembering; an outage that begins or ends
   */
  note(note) {
    fs.writeSync(this.#file, `${JSON.stringify(note)}\n`);
  }

  close() {
    fs.closeSync(this.#file);
  }
}

/** The history of a thread, in the form in which one that lives tells it. */
function readDiary(path) {
  const records = new Map();
  const events = [];
  for (const line of fs.existsSync(path) ? fs.readFileSync(path, 'utf8').split('\n') : []) {
    const { record, drop, event } = parse(line);
    if (record) records.set(record.seq, record);
    else if (drop !== undefined) records.delete(drop);
    else if (event) events.push(event);
  }
  return { history: [...records.values()], events, ended: true };
}

/** The last line may not be whole. */
function parse(line) {
  try {
    return JSON.parse(line);
  } catch {
    return {};
  }
}

module.exports = { Diary, readDiary };
