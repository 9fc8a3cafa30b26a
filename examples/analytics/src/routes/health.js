// Owns the two health routes: is this process alive, and does it share its cache with the others.
'use strict';

const express = require('express');
const cache = require('../services/redis');

const router = express.Router();

router.get('/health', (_request, response) => {
  response.json({ status: 'ok', uptime: process.uptime() });
});

// 503 in memory mode, even where that was chosen: for a fleet, an instance that shares nothing is degraded.
router.get('/health/redis', (_request, response) => {
  const health = cache.health();
  const shared = health.mode === 'redis';
  response.status(shared ? 200 : 503).json({ ...health, status: shared ? 'ok' : 'degraded' });
});

module.exports = router;
