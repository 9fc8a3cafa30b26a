// The example of Prometheus answers every request, also while Redis is away, and its metrics say so.
'use strict';

const { servesThroughOutage } = require('../support/example');
const { askerOf } = require('./support/exposition');

test('examples/prometheus serves through an outage, and tells of it', async () => {
  const check = (answers, mode, redis) => {
    const texts = answers.flatMap(([asked, , text]) => (asked === '/metrics' ? [text] : []));
    for (const text of texts) {
      const of = askerOf(text);
      if (mode !== 'unknown') expect(of('holdfast_mode', { cache: 'shop', mode })).toBe(1);
      expect(of('holdfast_memory_max_bytes', { connection: 'default' })).toBeGreaterThan(0);
      expect(text).toContain('process_cpu_seconds_total');
      expect(text).not.toContain(`:${redis.port}`);
    }
    const of = askerOf(texts.at(-1));
    expect(of('holdfast_computes_total')).toBeGreaterThan(0);
    if (mode === 'memory') expect(of('holdfast_outages_total')).toBeGreaterThan(0);
  };
  await servesThroughOutage('prometheus', ['/products/7', '/products/8', '/metrics'], { check });
});
