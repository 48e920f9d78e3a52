/** People: one row per e-mail address, whatever its case. */
import { z } from 'zod'
import { type Queryable, violatedConstraint } from '../database/index.js'
import { AppError } from '../errors.js'
import { newId, type UserId } from '../ids.js'
import type { Person } from './contract.js'

const emailCharactersMax = 254
const nameCharactersMax = 200

const emailShape = z.email().max(emailCharactersMax)

/** Trims and checks an address. Rejects with `invalid-value`. */
export function checkEmail(text: string): string {
  const parsed = emailShape.safeParse(text.trim())
  if (!parsed.success) {
    const message = 'This is not an email address.'
    throw new AppError('invalid-value', message, { fields: { email: message } })
  }
  return parsed.data
}

export interface PersonRow {
  readonly id: UserId
  readonly email: string
  readonly password: string | null
  readonly first_name: string | null
  readonly last_name: string | null
  readonly email_confirmed_at: Date | null
  readonly time_zone: string | null
  readonly second_factor_id: string | null
}

export interface NewPerson {
  readonly email: string
  readonly firstName?: string | null | undefined
  readonly lastName?: string | null | undefined
  /** Stored text of the password, or null for none. */
  readonly passwordHash: string | null
  readonly confirmedAt: Date | null
}

const columns = `people.id, people.email, people.password, people.first_name, people.last_name,
  people.email_confirmed_at, people.time_zone, (select id from second_factors where person_id = people.id) as second_factor_id`

/** Rejects with `conflict` when the address is taken. */
export async function insertPerson(client: Queryable, person: NewPerson): Promise<PersonRow> {
  const id = newId<UserId>()
  const values = [
    id,
    person.email,
    cut(person.firstName),
    cut(person.lastName),
    person.passwordHash,
    person.confirmedAt,
  ]
  try {
    await client.query(
      `insert into people (id, email, first_name, last_name, password, email_confirmed_at)
       values ($1, $2, $3, $4, $5, $6)`,
      values,
    )
  } catch (error) {
    if (violatedConstraint(error) !== 'people_email') throw error
    const message = 'An account with this email address already exists.'
    throw new AppError('conflict', message, { cause: error, fields: { email: message } })
  }
  const row = await personById(client, id)
  if (!row) throw new AppError('conflict')
  return row
}

export async function personByEmail(client: Queryable, email: string): Promise<PersonRow | null> {
  const { rows } = await client.query<PersonRow>(
    `select ${columns} from people where lower(email) = lower($1)`,
    [email.trim()],
  )
  return rows[0] ?? null
}

export async function personById(client: Queryable, id: string): Promise<PersonRow | null> {
  const { rows } = await client.query<PersonRow>(`select ${columns} from people where id = $1`, [id])
  return rows[0] ?? null
}

/**
 * The person, held until the transaction ends. Whatever begins or ends sessions because of what a person has (password,
 * second factor, being switched off) holds them first: so nothing begins by what ends at the same moment.
 */
export async function lockPerson(client: Queryable, id: string): Promise<PersonRow | null> {
  await client.query('select from people where id = $1 for update', [id])
  // Read after the wait, so that it is what others have left.
  return personById(client, id)
}

export function personOf(row: Pick<PersonRow, 'id' | 'email' | 'first_name' | 'last_name'>): Person {
  return { id: row.id, email: row.email, firstName: row.first_name, lastName: row.last_name }
}

/** First and last name, else what stands before the @. */
export function fullName(person: Pick<Person, 'email' | 'firstName' | 'lastName'>): string {
  const names = [person.firstName, person.lastName].filter(name => name)
  return names.length > 0 ? names.join(' ') : (person.email.split('@')[0] ?? person.email)
}

export async function setPasswordHash(client: Queryable, id: UserId, hash: string): Promise<void> {
  await client.query('update people set password = $2, updated_at = now() where id = $1', [id, hash])
}

/** Replaces a hash by a stronger one, unless the password was changed meanwhile. */
export async function replacePasswordHash(
  client: Queryable,
  id: UserId,
  from: string,
  to: string,
): Promise<void> {
  await client.query('update people set password = $3 where id = $1 and password = $2', [id, from, to])
}

/**
 * Deletes people, and the organizations they own in which nobody else is. Returns the ids of all that, and of the
 * sessions and keys that ended with them.
 */
export async function deletePeople(
  client: Queryable,
  which: { ids: readonly string[]; emails: readonly string[] },
): Promise<{ people: string[]; sessions: string[]; keys: string[] }> {
  const people = await ids(client, 'select id from people where id = any($1) or lower(email) = any($2)', [
    which.ids,
    which.emails.map(email => email.trim().toLowerCase()),
  ])
  const organizations = await ids(
    client,
    `select id from organizations where owner_id = any($1) and not exists (
       select from memberships where organization_id = organizations.id and person_id <> all($1))`,
    [people],
  )
  const sessions = await ids(client, 'select id from sessions where person_id = any($1)', [people])
  const keys = await ids(
    client,
    'select id from api_keys where (person_id = any($1) or organization_id = any($2)) and revoked_at is null',
    [people, organizations],
  )
  await client.query('delete from organizations where id = any($1)', [organizations])
  await client.query('delete from people where id = any($1)', [people])
  return { people, sessions, keys }
}

/** Switches a second factor on, replacing an older one; null switches it off. */
export async function setSecondFactor(
  client: Queryable,
  personId: string,
  factorId: string | null,
): Promise<void> {
  await client.query('delete from second_factors where person_id = $1', [personId])
  if (factorId === null) return
  await client.query(
    `insert into second_factors (id, person_id, kind, confirmed_at) values ($1, $2, 'EXTERNAL', now())`,
    [factorId, personId],
  )
}

async function ids(client: Queryable, text: string, values: readonly unknown[]): Promise<string[]> {
  const { rows } = await client.query<{ id: string }>(text, values)
  return rows.map(row => row.id)
}

function cut(name: string | null | undefined): string | null {
  const trimmed = name?.trim().slice(0, nameCharactersMax)
  return trimmed ? trimmed : null
}
