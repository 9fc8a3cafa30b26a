#!/usr/bin/env node
// The command line, `npx holdfast`: runs the command that is meant, and ends with its exit code.
'use strict';

const { COMMANDS } = require('./commands.js');
const { main } = require('./frame/main.js');

main(COMMANDS, process.argv.slice(2));
