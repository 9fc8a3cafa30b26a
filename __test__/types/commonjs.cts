// An application of CommonJS modules written in TypeScript.

import holdfast = require('holdfast');

const { get, set } = holdfast;
const cache: holdfast.Cache = holdfast.createCache({ namespace: 'commonjs' });
const typed = holdfast.createCache<{ [user: `user:${number}`]: string }>({ namespace: 'commonjs' });
const name: Promise<string | null> = typed.get('user:7');
// @ts-expect-error not in the schema
typed.get('usr:7');
// @ts-expect-error the package is no function
holdfast();

export = { cache, name, set, read: (key: string): Promise<string | null> => get<string>(key) };
