// An Express application that counts the visits of a session. `REDIS_URL` names the Redis; while it is stopped,
// requests are answered from the sessions that the process holds. `SESSION_SECRET` signs the cookies.
'use strict';

const { randomUUID } = require('node:crypto');
const express = require('express');
const session = require('express-session');
const { sessionStore } = require('holdfast/session');

const app = express();
const store = sessionStore(session);

app.get('/health', (_, response) => response.json(store.cache.health()));
app.use(
  session({
    store,
    secret: process.env.SESSION_SECRET ?? randomUUID(), // without one, sessions end with the process
    resave: false, // a session that was not changed is not written: it lives through an outage
    saveUninitialized: false,
  }),
);
app.get('/', (request, response) => {
  request.session.visits = (request.session.visits ?? 0) + 1;
  response.json({ visits: request.session.visits });
});

const server = app.listen(process.env.PORT ?? 3000, () => console.log(`listening on ${server.address().port}`));
