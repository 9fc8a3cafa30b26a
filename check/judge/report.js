// Owns the report of a violated schedule: its plan, its faults, and the calls around the violation.
'use strict';

const SHOWN = 120;
const ms = (ns) => (ns === null ? 'never' : (ns / 1e6).toFixed(2));

/** A call in one line. */
function line(op, marked) {
  const args = {
    get: op.key,
    sync: op.key,
    set: `${op.key} ${op.value}`,
    setIfAbsent: `${op.key} ${op.value}`,
    take: op.key,
    compute: `${op.key} ${op.value}`,
    computeMany: `${op.keys} ${op.value}`,
    expire: `${op.key} ${op.ttl}`,
    flood: op.count,
    increment: `${op.key} ${op.amount}`,
  };
  const what = `${op.op} ${args[op.op] ?? op.keys ?? op.tag ?? op.pattern ?? ''}`;
  const more = [
    op.tag && op.op !== 'invalidate' ? `${op.named ? 'names' : 'tag'} ${op.tag}` : '',
    op.ttl < 1 ? `ttl ${op.ttl}` : '',
    op.soft ? `soft ${op.soft} ms` : '',
    ...(op.runs ?? []).map((run) => `[ran ${ms(run.start)}..${ms(run.end ?? null)} ${run.key} = ${run.value}]`),
  ];
  const result = op.error ?? JSON.stringify(op.result);
  const mode = `${op.before?.[0]}${`${op.before}` === `${op.after}` ? '' : ` → ${op.after?.[0]}${op.after?.[0] === op.before?.[0] ? ' anew' : ''}`}`;
  const columns = [
    `${ms(op.start)}..${ms(op.end)}`.padEnd(18),
    `${op.place} ${op.client}`.padEnd(12),
    what.padEnd(24),
    result,
    ...more,
    mode,
  ];
  return `${marked ? '>' : ' '} ${columns.filter((text) => text !== '').join('  ')}`;
}

function keysOf(op) {
  return op.keys ?? (op.key ? [op.key] : null);
}

function report({ plan, raw, found, times, tries }, { file, mutant, io, topology, kind }) {
  const lines = found.slice(0, 5).map(({ guarantee, text }) => `  ${guarantee}: ${text}`);
  if (raw !== null) {
    const calls = new Set(found[0].calls);
    const keys = new Set(found[0].calls.filter(({ op }) => op !== 'sync').flatMap((op) => keysOf(op) ?? []));
    const about = (op) => calls.has(op) || keysOf(op) === null || keysOf(op).some((key) => keys.has(key));
    const clients = plan.clients.map(({ place, steps }) => `${place} (${steps.length} turns)`).join(', ');
    lines.push(
      '',
      `  clients: ${clients}; timeoutMs ${plan.options.timeoutMs}; times in ms since the schedule was set up, clients began at ${ms(raw.began)}`,
    );
    for (const fault of plan.faults)
      lines.push(`  fault: ${fault.kind} ${fault.process} at ${ms(raw.began + fault.at * 1e6)} for ${fault.for} ms`);
    for (const { place, name, at } of raw.events) lines.push(`  event: ${name} in ${place} at ${ms(at)}`);
    const shown = raw.ops.filter(about);
    lines.push('', ...shown.slice(0, SHOWN).map((op) => line(op, calls.has(op))));
    if (shown.length > SHOWN) lines.push(`  … ${shown.length - SHOWN} more in ${file}`);
    lines.push('', `  in Redis in the end: ${JSON.stringify(raw.final)}`);
  }
  const build = `${topology === 'single' ? '' : ` --topology ${topology}`}${mutant ? ` --mutant ${mutant}` : ''}${io ? ` --io ${io}` : ''}`;
  lines.push('', `  it showed in ${times} of ${tries} runs of this smallest plan`);
  lines.push(`  the smallest plan again:  npm run check:guarantees -- --plan ${file}${build}`);
  lines.push(
    `  the schedule again:       npm run check:guarantees -- --seed ${plan.seed} --schedule ${plan.index}${kind ? ` --kind ${kind}` : ''}${build}`,
  );
  return lines.join('\n');
}

module.exports = { report };
