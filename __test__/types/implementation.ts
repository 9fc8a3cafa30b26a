// The code is what the contract says it is: src/js exports all that index.d.ts declares, with types that fit.

import type * as contract from 'holdfast';
import * as implementation from '../../src/js/index.js';

type Exports = Omit<typeof contract, 'HoldfastError'>;
// The name lies on the prototype, where TypeScript cannot see that it is a constant.
type ErrorClass = new (
  ...parameters: ConstructorParameters<typeof contract.HoldfastError>
) => Omit<contract.HoldfastError, 'name'>;

implementation satisfies Exports & { HoldfastError: ErrorClass };
export const noMoreThan = (name: keyof typeof implementation): keyof typeof contract => name;
