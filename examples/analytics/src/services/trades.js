// Owns the database of trades, a DuckDB file; counts the queries that really ran.
'use strict';

const { DuckDBInstance } = require('@duckdb/node-api');

let database = null;
let queriesRun = 0;

/** Opens the file for reading, so that many instances can hold it at a time. */
async function open(file) {
  // Two threads let one report use both cores of a small machine; the bound lets several instances share its memory.
  database = await DuckDBInstance.create(file, { access_mode: 'READ_ONLY', threads: '2', memory_limit: '1GB' });
}

/** Runs one query; resolves to its rows as objects of JSON values. */
async function query(sql, parameters) {
  queriesRun += 1;
  // A connection a query: DuckDB runs the queries of one connection one after the other.
  const connection = await database.connect();
  try {
    const reader = await connection.runAndReadAll(sql, parameters);
    return reader.getRowObjectsJson();
  } finally {
    connection.closeSync();
  }
}

function countQueries() {
  return queriesRun;
}

module.exports = { open, query, countQueries };
