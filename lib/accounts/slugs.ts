/** The short names by which addresses and code speak of organizations, environments and teams. */
import { z } from 'zod'

const slugCharactersMax = 60

/** Slugs appear in addresses, where a plus sign separates the environment. */
export const slugShape = z
  .string()
  .max(64)
  .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/, 'use letters, digits, hyphens and underscores')

/** "Test Runner" → `test-runner`. */
export function slugFrom(name: string, otherwise = 'organization'): string {
  const slug = name
    .normalize('NFKD')
    .replace(/\p{Mark}/gu, '')
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, slugCharactersMax)
    .replace(/^-+|-+$/g, '')
  return slug || otherwise
}
