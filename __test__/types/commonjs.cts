// An application of CommonJS modules written in TypeScript.

import holdfast = require('holdfast');

const { get, set } = holdfast;
const cache: holdfast.Cache = holdfast.createCache({ namespace: 'commonjs' });
// @ts-expect-error the package is no function
holdfast();

export = { cache, set, read: (key: string): Promise<string | null> => get<string>(key) };
