/**
 * `leveldown` and `memdown` with types that fit their exports: both are CommonJS functions, while their declarations
 * describe a default export.
 */
import leveldownModule from 'leveldown'
import memdownModule from 'memdown'

export const leveldown = leveldownModule as unknown as typeof leveldownModule.default
export const memdown = memdownModule as unknown as typeof memdownModule.default
