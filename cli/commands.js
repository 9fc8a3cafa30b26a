// The commands of `npx holdfast`, in the order in which its help lists them.
//
// A command is a folder beside this file whose index.js exports a `Command` (frame/arguments.js has the type). It is
// loaded only once it is meant, so a command that does not load takes no other with it.
'use strict';

/** @type {import('./frame/arguments.js').Entry[]} */
const COMMANDS = [
  {
    name: 'doctor',
    about: 'examines one Redis and the way to it, and says what to mend and how',
    load: () => require('./doctor/index.js'),
  },
];

module.exports = { COMMANDS };
