/**
 * superjson at the edge of the browser: props and results of hosts are decoded here, answers encoded. Our own instance
 * carries the `time` type that SDKs register. Meta from a host may be nonsense; decoding then throws, and the caller
 * shows that the action sent something invalid.
 */
import SuperJSON from 'superjson'

export interface Encoded {
  values: unknown[]
  valuesMeta?: unknown
}

export interface Encoding {
  /** Throws on meta that does not fit. */
  decode(json: unknown, meta: unknown): unknown
  encodeValues(values: readonly unknown[]): Encoded
}

type Meta = NonNullable<Parameters<SuperJSON['deserialize']>[0]['meta']>

export function createEncoding(): Encoding {
  const superjson = new SuperJSON()
  // `HH:MM:SS`; nothing we send is a time, so that only reading applies.
  superjson.registerCustom<string, string>(
    {
      isApplicable: (_value): _value is string => false,
      serialize: text => text,
      deserialize: text => text,
    },
    'time',
  )
  return {
    decode(json, meta) {
      if (meta === undefined || meta === null) return json
      if (typeof meta !== 'object') throw new TypeError('meta is not an object')
      // superjson works in place on `json`; a copy keeps the received call as it was.
      const copy = structuredClone(json) as Parameters<SuperJSON['deserialize']>[0]['json']
      return superjson.deserialize({ json: copy, meta: meta as Meta })
    },
    encodeValues(values) {
      const { json, meta } = superjson.serialize([...values])
      return {
        values: Array.isArray(json) ? json : [],
        ...(meta === undefined ? {} : { valuesMeta: meta }),
      }
    },
  }
}
