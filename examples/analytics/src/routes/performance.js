// Owns the two routes of slow reports. A real application takes the tenant from the session; here it is a parameter.
'use strict';

const express = require('express');
const performance = require('../services/performance');
const { readParameters } = require('./parameters');

const router = express.Router();

router.get('/api/community/analytics/performance', async (request, response) => {
  const parameters = readParameters(request.query, ['tenant', 'period', 'from', 'to']);
  response.json({ ...parameters, rows: await performance.community(parameters) });
});

router.get('/api/trader/analytics/performance', async (request, response) => {
  const parameters = readParameters(request.query, ['tenant', 'trader', 'period', 'from', 'to']);
  response.json({ ...parameters, rows: await performance.trader(parameters) });
});

module.exports = router;
