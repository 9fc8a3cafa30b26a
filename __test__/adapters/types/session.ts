// express-session takes the store.

import session from 'express-session';
import type { Cache } from 'holdfast';
import { sessionStore } from 'holdfast/session';

const store = sessionStore(session, { namespace: 'sess', ttl: 3_600, disableTouch: true });
export const middleware = session({ store, secret: 'any', resave: false, saveUninitialized: false });
export const cache: Cache = store.cache;
store.all((_, sessions) => sessions?.[0]?.id.length);
store.clear();
// @ts-expect-error the codec is the adapter's own
sessionStore(session, { codec: 'json' });
