/** The consistent hash of ringpop, alone: it opens no socket and starts no timer. The package ships no types. */
declare module 'ringpop/lib/ring/index.js' {
  export default class HashRing {
    constructor(options?: { replicaPoints?: number; hashFunc?: (text: string) => number })
    addServer(name: string): void
    removeServer(name: string): void
    hasServer(name: string): boolean
    /** The member that serves `key`; undefined in an empty ring. */
    lookup(key: string): string | undefined
    /** The first `count` different members for `key`; the first is `lookup(key)`. */
    lookupN(key: string, count: number): string[]
  }
}
