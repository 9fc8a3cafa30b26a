// Owns the data set: trades of 32 tenants over three years, made up once from hashes, so that every machine has the
// same.
'use strict';

const { DuckDBInstance } = require('@duckdb/node-api');
const fs = require('node:fs');
const path = require('node:path');

const FOLDER = path.join(__dirname, '..', 'data');
// Part of the file's name: raise it with any change of what is generated.
const VERSION = 1;
const CHUNK = 500_000;

const TABLE = `
  CREATE TABLE trades (
    id BIGINT, tenant INTEGER, trader INTEGER, symbol VARCHAR, side VARCHAR,
    opened_at TIMESTAMP, closed_at TIMESTAMP, pnl DOUBLE, volume DOUBLE
  )`;

// hash(i * 16 + n) is the n-th die of trade i. In order of closing time, as an application appends them; every tenant
// has 200 traders, tenant 7 those from 7000 to 7199.
const TRADES = `
  INSERT INTO trades
  SELECT
    i, tenant, tenant * 1000 + hash(i * 16 + 1) % 200,
    ['BTC', 'ETH', 'SOL', 'XRP', 'ADA', 'DOGE', 'AVAX', 'LINK'][(1 + hash(i * 16 + 2) % 8)::INTEGER],
    if(hash(i * 16 + 3) % 2 = 0, 'long', 'short'),
    closed_at - to_seconds((60 + hash(i * 16 + 4) % 86400)::BIGINT), closed_at,
    round((luck - 1.49) * volume * 0.02, 2), volume
  FROM (
    SELECT
      i,
      1 + hash(i * 16) % 32 AS tenant,
      TIMESTAMP '2023-01-01' + to_microseconds((i::DOUBLE / $rows * 3 * 365 * 86400e6)::BIGINT) AS closed_at,
      (hash(i * 16 + 5) % 10000 + hash(i * 16 + 6) % 10000 + hash(i * 16 + 7) % 10000) / 10000.0 AS luck,
      100.0 + hash(i * 16 + 8) % 99900 AS volume
    FROM range($start::BIGINT, $end::BIGINT) numbers(i)
  )`;

/** The file with `rows` trades, generated where there is none; `onProgress(done, rows)` is called on the way. */
async function ensureDataset(rows, onProgress) {
  const file = path.join(FOLDER, `trades-${rows}-v${VERSION}.duckdb`);
  if (fs.existsSync(file)) return file;
  fs.mkdirSync(FOLDER, { recursive: true });
  // Renamed when it is whole: what an interrupted run leaves is never taken for the data set.
  const partial = path.join(FOLDER, `.${process.pid}.partial`);
  process.once('exit', () => {
    for (const suffix of ['', '.wal']) fs.rmSync(partial + suffix, { force: true });
  });
  await generate(partial, rows, onProgress);
  fs.renameSync(partial, file);
  return file;
}

async function generate(file, rows, onProgress) {
  const database = await DuckDBInstance.create(file, { memory_limit: '2GB' });
  const connection = await database.connect();
  try {
    await connection.run(TABLE);
    for (let start = 0; start < rows; start += CHUNK) {
      const end = Math.min(start + CHUNK, rows);
      onProgress(start, rows);
      await connection.run(TRADES, { rows, start, end });
    }
    await connection.run('CHECKPOINT');
    onProgress(rows, rows);
  } finally {
    connection.closeSync();
    database.closeSync();
  }
}

module.exports = { ensureDataset };
