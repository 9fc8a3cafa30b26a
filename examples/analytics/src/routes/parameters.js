// Owns the check of query parameters. Only what passed it reaches a query or becomes part of a key.
'use strict';

const DATE = /^\d{4}-\d{2}-\d{2}$/;

const checks = {
  tenant: whole,
  trader: whole,
  period: (text = 'month') => (['day', 'week', 'month'].includes(text) ? text : refuse('must be day, week or month')),
  from: (text = '0001-01-01') => date(text),
  to: (text = '9999-12-31') => date(text),
};

/** A mistake of the client, answered with status 400. */
class ParameterError extends Error {
  status = 400;
}

/** Returns the parameters of these names, checked; throws a ParameterError that names the one to correct. */
function readParameters(query, names) {
  const unknown = Object.keys(query).find((name) => !names.includes(name));
  if (unknown !== undefined) throw new ParameterError(`${unknown}: no such parameter; there are ${names.join(', ')}`);
  const parameters = {};
  for (const name of names) {
    try {
      if (Array.isArray(query[name])) refuse('is given more than once');
      parameters[name] = checks[name](query[name]);
    } catch (error) {
      throw new ParameterError(`${name}: ${error.message}`);
    }
  }
  if (parameters.from >= parameters.to) throw new ParameterError('from: must be before to');
  return parameters;
}

function whole(text) {
  if (text === undefined) refuse('is required');
  return /^[1-9]\d{0,8}$/.test(text) ? Number(text) : refuse('must be a whole number from 1 to 999999999');
}

function date(text) {
  const time = DATE.test(text) ? Date.parse(text) : Number.NaN;
  // The round trip refuses what Date corrects in silence, such as 2025-02-30.
  const exists = !Number.isNaN(time) && new Date(time).toISOString().startsWith(text);
  return exists ? text : refuse('must be a date such as 2025-01-31');
}

function refuse(why) {
  throw new Error(why);
}

module.exports = { readParameters };
