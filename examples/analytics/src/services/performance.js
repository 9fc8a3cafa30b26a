// Owns the slow reports, and that each is computed once and then found in the cache.
'use strict';

const cache = require('./redis');
const trades = require('./trades');

const TTL_SECONDS = 300;

// The community of a tenant as one account: its equity after every trade, and how far it is below its peak.
const COMMUNITY = `
  WITH scoped AS (
    SELECT id, trader, closed_at, date_diff('second', opened_at, closed_at) AS held, pnl, volume
    FROM trades
    WHERE tenant = $tenant AND closed_at >= $from::TIMESTAMP AND closed_at < $to::TIMESTAMP
  ), curve AS (
    SELECT *, sum(pnl) OVER (ORDER BY closed_at, id ROWS UNBOUNDED PRECEDING) AS equity FROM scoped
  ), drawn AS (
    SELECT *, max(equity) OVER (ORDER BY closed_at, id ROWS UNBOUNDED PRECEDING) - equity AS drawdown FROM curve
  )
  SELECT
    strftime(date_trunc($period, closed_at), '%Y-%m-%d') AS period,
    count(*)::INTEGER AS trades,
    count(DISTINCT trader)::INTEGER AS traders,
    round(avg((pnl > 0)::INTEGER), 4) AS winRate,
    round(sum(pnl), 2) AS pnl,
    round(sum(volume), 2) AS volume,
    list_transform(quantile_cont(pnl, [0.05, 0.5, 0.95]), lambda x: round(x, 2)) AS pnlPercentiles,
    quantile_cont(held, 0.5) AS medianSecondsHeld,
    round(max(drawdown), 2) AS maxDrawdown
  FROM drawn
  GROUP BY ALL
  ORDER BY period`;

// One trader beside the others of the tenant: every account's drawdown is needed to say how this one ranks (1 is best).
const TRADER = `
  WITH scoped AS (
    SELECT id, trader, date_trunc($period, closed_at) AS period, closed_at, pnl, volume
    FROM trades
    WHERE tenant = $tenant AND closed_at >= $from::TIMESTAMP AND closed_at < $to::TIMESTAMP
  ), curve AS (
    SELECT *, sum(pnl) OVER account AS equity
    FROM scoped
    WINDOW account AS (PARTITION BY trader ORDER BY closed_at, id ROWS UNBOUNDED PRECEDING)
  ), drawn AS (
    SELECT *, max(equity) OVER account - equity AS drawdown
    FROM curve
    WINDOW account AS (PARTITION BY trader ORDER BY closed_at, id ROWS UNBOUNDED PRECEDING)
  ), accounts AS (
    SELECT period, trader, sum(pnl) AS pnl, max(drawdown) AS drawdown FROM drawn GROUP BY ALL
  ), ranks AS (
    SELECT
      period,
      trader,
      drawdown,
      percent_rank() OVER (PARTITION BY period ORDER BY pnl) AS pnlRank,
      percent_rank() OVER (PARTITION BY period ORDER BY drawdown DESC) AS drawdownRank
    FROM accounts
  )
  SELECT
    strftime(scoped.period, '%Y-%m-%d') AS period,
    count(*)::INTEGER AS trades,
    round(avg((pnl > 0)::INTEGER), 4) AS winRate,
    round(sum(pnl), 2) AS pnl,
    round(sum(volume), 2) AS volume,
    list_transform(quantile_cont(pnl, [0.05, 0.5, 0.95]), lambda x: round(x, 2)) AS pnlPercentiles,
    round(any_value(drawdown), 2) AS maxDrawdown,
    round(any_value(pnlRank), 4) AS pnlRank,
    round(any_value(drawdownRank), 4) AS drawdownRank
  FROM scoped
  JOIN ranks USING (period, trader)
  WHERE trader = $trader
  GROUP BY ALL
  ORDER BY period`;

/** How a tenant's community did, a row for each period. */
function community({ tenant, period, from, to }) {
  const key = `analytics:community:${tenant}:${period}:${from}:${to}`;
  return cache.getOrCompute(key, () => trades.query(COMMUNITY, { tenant, period, from, to }), TTL_SECONDS);
}

/** How one trader did, a row for each period. */
function trader({ tenant, trader, period, from, to }) {
  const key = `analytics:trader:${tenant}:${trader}:${period}:${from}:${to}`;
  return cache.getOrCompute(key, () => trades.query(TRADER, { tenant, trader, period, from, to }), TTL_SECONDS);
}

module.exports = { community, trader };
