/**
 * The configuration table: who leads and copies each partition, changed by compare-and-swap on the epoch. Postgres is
 * asked only when nodes come, go or die; what runs does not depend on it.
 *
 * Invariant: a row is changed only from the epoch just before the new one. Rows are locked in the order of partitions,
 * so that two nodes that change many at once never wait for each other in a circle.
 *
 * What can go wrong: Postgres takes statements and does not answer, or somebody holds a row. The loop that keeps the
 * partitions waits for these answers, so they are given up soon, and do not queue behind other work of the node.
 */
import type { NodeId } from '../ids.js'
import type { Change, Configuration, Configurations, RegisteredNode, StoreId } from '../partitions/index.js'
import type { PartitionId } from '../ring/index.js'
import type { Database } from './database.js'

interface ConfigurationRow {
  partition: number
  epoch: string | number
  owner: string
  replicas: string[]
  nonce: string
}

interface NodeRow {
  node_id: string
  store_id: string
  boot: string
  channel_address: string
  forward_address: string
  former_stores: string[]
}

/** Whoever holds a row changes it, and it must be read again; nothing else takes so long. */
const lockMsMax = 200
/** Of one node. No row names one that was replaced long ago. */
const formerStoresMax = 8
const columns = 'partition, epoch, owner, replicas, nonce'

export class DatabaseConfigurations implements Configurations {
  readonly #database: Database
  /** What was read last, and its fingerprint. */
  #read: { readonly fingerprint: string; readonly rows: readonly Configuration[] } = {
    fingerprint: '',
    rows: [],
  }

  constructor(database: Database) {
    this.#database = database
  }

  async cluster(): Promise<string | null> {
    const { rows } = await this.#database.query<{ id: string }>('select id from cluster')
    return rows[0]?.id ?? null
  }

  async register(node: RegisteredNode, founding: ReadonlyMap<PartitionId, number>): Promise<string | null> {
    return await this.#database.transaction(async client => {
      const newest = await client.query(
        `insert into cluster_stores (store_id, node_id, boot) values ($1, $2, $3)
         on conflict (store_id) do update set node_id = excluded.node_id, boot = excluded.boot, registered_at = now()
         where cluster_stores.boot < excluded.boot
         returning store_id`,
        [node.storeId, node.nodeId, node.boot],
      )
      if (newest.rows.length === 0) return null
      const founded = await client.query<{ id: string }>(
        'insert into cluster default values on conflict do nothing returning id',
      )
      const id =
        founded.rows[0]?.id ?? (await client.query<{ id: string }>('select id from cluster')).rows[0]?.id
      if (id === undefined) throw new Error('the cluster vanished while a node registered')
      await client.query(
        `insert into cluster_nodes (node_id, store_id, boot, channel_address, forward_address)
         values ($1, $2, $3, $4, $5)
         on conflict (node_id) do update set store_id = excluded.store_id, boot = excluded.boot,
           channel_address = excluded.channel_address, forward_address = excluded.forward_address, registered_at = now()`,
        [node.nodeId, node.storeId, node.boot, node.channelAddress, node.forwardAddress],
      )
      if (founded.rows.length > 0) {
        const entries = [...founding]
        await client.query(
          `insert into partition_configurations (partition, epoch, owner, replicas, nonce)
           select partition, epoch, $3, '{}', 'founding' from unnest($1::integer[], $2::bigint[]) as f (partition, epoch)`,
          [entries.map(([partition]) => partition), entries.map(([, epoch]) => epoch), node.storeId],
        )
      }
      return id
    })
  }

  async read(): Promise<readonly Configuration[]> {
    // Each node reads each second, and mostly there is nothing new.
    const { rows } = await this.#database.urgent.query<{ fingerprint: string; text: string | null }>(
      `select md5(text) as fingerprint, case when md5(text) = $1 then null else text end as text from (
         select coalesce(json_agg(c order by partition)::text, '[]') as text
         from (select ${columns} from partition_configurations) c
       ) as whole`,
      [this.#read.fingerprint],
    )
    const [found] = rows
    if (found?.text) {
      const { fingerprint, text } = found
      this.#read = { fingerprint, rows: (JSON.parse(text) as ConfigurationRow[]).map(configuration) }
    }
    return this.#read.rows
  }

  async nodes(): Promise<readonly RegisteredNode[]> {
    const { rows } = await this.#database.urgent.query<NodeRow>(
      `select n.node_id, n.store_id, n.boot, n.channel_address, n.forward_address, array(
         select s.store_id from cluster_stores s where s.node_id = n.node_id and s.store_id <> n.store_id
         order by s.registered_at desc limit ${formerStoresMax}
       ) as former_stores
       from cluster_nodes n`,
    )
    return rows.map(row => ({
      nodeId: row.node_id as NodeId,
      storeId: row.store_id as StoreId,
      boot: Number(row.boot),
      channelAddress: row.channel_address,
      forwardAddress: row.forward_address,
      formerStores: row.former_stores as StoreId[],
    }))
  }

  async forget({ boot, nodeId, storeId }: Parameters<Configurations['forget']>[0]): Promise<void> {
    await this.#database.urgent.query(
      'delete from cluster_nodes where node_id = $1 and store_id = $2 and boot = $3',
      [nodeId, storeId, boot],
    )
  }

  async swap(changes: readonly Change[]): Promise<readonly Configuration[]> {
    const { rows } = await this.#database.urgent.query<ConfigurationRow>(
      `with limits as materialized (
         select set_config('lock_timeout', '${lockMsMax}ms', true)
       ), changes as (
         select * from unnest($1::integer[], $2::bigint[], $3::text[], $4::text[], $5::text[], $6::bigint[])
           as c (partition, epoch, owner, replicas, nonce, from_epoch)
       ), locked as (
         select p.partition from limits cross join partition_configurations p join changes c on c.partition = p.partition
         order by p.partition for update of p
       )
       update partition_configurations p
       set epoch = c.epoch, owner = c.owner, nonce = c.nonce, changed_at = now(),
         replicas = array(select jsonb_array_elements_text(c.replicas::jsonb))
       from changes c join locked l on l.partition = c.partition
       where p.partition = c.partition and p.epoch = c.from_epoch
       returning p.partition, p.epoch, p.owner, p.replicas, p.nonce`,
      [
        changes.map(change => change.partition),
        changes.map(change => change.epoch),
        changes.map(change => change.owner),
        changes.map(change => JSON.stringify(change.replicas)),
        changes.map(change => change.nonce),
        changes.map(change => change.fromEpoch ?? change.epoch - 1),
      ],
    )
    const changed = new Set(rows.map(row => row.partition))
    const others = changes.map(change => change.partition).filter(partition => !changed.has(partition))
    if (others.length === 0) return rows.map(configuration)
    // Read by a statement of its own: this one would show them as they were before it waited.
    const rest = await this.#database.urgent.query<ConfigurationRow>(
      `select ${columns} from partition_configurations where partition = any($1)`,
      [others],
    )
    return [...rows, ...rest.rows].map(configuration)
  }
}

function configuration(row: ConfigurationRow): Configuration {
  return {
    partition: row.partition as PartitionId,
    epoch: Number(row.epoch),
    owner: row.owner as StoreId,
    replicas: row.replicas as StoreId[],
    nonce: row.nonce,
  }
}
