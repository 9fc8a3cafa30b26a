// Owns the life of a page of docs/benchmarks: from the names of the command line to the files that are written.
'use strict';

const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { chart } = require('./chart');
const { describe, startLab } = require('./lab');

const DOCS = path.join(__dirname, '../../docs/benchmarks');
/**
 * Starts a lab, prints the machine, awaits `measureAll(lab, names, options)`, and publishes the page that
 * `report(measured, options)` makes of it. `known`: all subjects that `--only` may name; `usual`: those that are
 * measured without it; `kind`: the noun for one of them; `packages`: those whose versions the page gives, a list or a
 * function of the names; `primaries`: of a cluster, in place of one server. Resolves to the folder that the page was
 * written to.
 */
async function runPage(options, { kind, known, usual = known, packages, primaries }, measureAll, report) {
  const names = options.only ?? usual;
  const unknown = names.find((name) => !known.includes(name));
  if (unknown) throw new Error(`no ${kind} is called «${unknown}»; there are ${known.join('; ')}`);

  const lab = await startLab(options, primaries);
  try {
    const machine = await describe(lab, Array.isArray(packages) ? packages : packages(names));
    console.log(`${machine.join('\n')}\n`);
    return publish(report(await measureAll(lab, names, options), options), machine, options);
  } finally {
    await lab.stop();
  }
}

/** The subjects in the order of a round: it turns with the round, so that none always follows the same neighbour. */
function inTurn(subjects, round) {
  return subjects.map((_, i) => subjects[(i + round) % subjects.length]);
}

/**
 * Prints the `figures` of a run and writes its page, with `panels` as a drawing, those of `drawings` under their own
 * names for the figures to show, and `raw`, the numbers themselves: the `windows`, which may have been disturbed, or
 * more. `about` introduces the page: in it the names of `fields`, and
 * ROUNDS and SECONDS of the options, stand for values. Returns the folder.
 */
function publish(page, machine, options) {
  const { name, title, about, fields = {}, figures, panels, drawings = {}, windows = [], raw = { windows } } = page;
  console.log(`\n${figures}\n`);
  const values = { ROUNDS: options.rounds, SECONDS: options.seconds, ...fields };
  const filled = about.replace(new RegExp(`\\b(${Object.keys(values).join('|')})\\b`, 'g'), (field) => values[field]);
  const picture = panels ? [`![The same figures as bars](${name}.svg)`] : [];
  const files = {
    [`${name}.md`]: `${[`# ${title}`, machine.join('  \n'), filled, ...picture, figures].join('\n\n')}\n`,
    ...Object.fromEntries(
      Object.entries({ ...(panels ? { [name]: panels } : {}), ...drawings }).map(([file, drawn]) => [
        `${file}.svg`,
        chart(title.replaceAll('`', ''), drawn),
      ]),
    ),
    [`${name}.json`]: `${JSON.stringify({ machine, options, ...raw }, null, 1)}\n`,
  };
  return write(files, options, windows);
}

/**
 * Writes the files of a run: to `docs/benchmarks` where it was whole, else to a fresh temporary folder. Says which, and
 * why, and returns it. A page says how many of its windows were disturbed: where a host takes time away from a virtual
 * machine, none is quiet, and whoever reads a figure must know.
 */
function write(files, options, windows) {
  const disturbed = windows.filter((window) => window.disturbed).length;
  const notForDocs = whyNotForDocs(options);
  const folder = notForDocs ? fs.mkdtempSync(path.join(os.tmpdir(), 'holdfast-bench-')) : DOCS;
  fs.mkdirSync(folder, { recursive: true });
  for (const [name, text] of Object.entries(files)) {
    const page = name.endsWith('.md') && disturbed > 0;
    fs.writeFileSync(path.join(folder, name), page ? `${text}\n${noteOf(disturbed, windows.length)}\n` : text);
  }
  console.log(`${Object.keys(files).join(', ')} written to ${folder}${notForDocs ? ` (${notForDocs})` : ''}`);
  return folder;
}

/** Why the figures of a run are not for the documentation, or undefined. */
function whyNotForDocs(options) {
  if (options.quick) return 'a quick run proves nothing';
  if (options.only) return 'only a part was run';
  if (options.short) return 'fewer rounds or shorter windows than its own';
}

function noteOf(disturbed, all) {
  return `During ${disturbed} of the ${all} windows others, the machine's host among them, used more than a twentieth of the machine, when they were measured again as well.`;
}

module.exports = { runPage, inTurn, DOCS };
