// Owns the list of topologies on which schedules can run.
'use strict';

const { Cluster } = require('./cluster');
const { Sentinel } = require('./sentinel');
const { Single } = require('./single');

const TOPOLOGIES = { single: Single, sentinel: Sentinel, cluster: Cluster };

module.exports = { TOPOLOGIES };
