/** What tests of people share: a node that sends its mails to a real server, somebody who administers, and sign-ins. */
import type { Page } from 'playwright-core'
import type { Test } from 'tap'
import { MailServer } from '../support/mail-server.js'
import type { Seeded } from '../support/server.js'
import { Stage } from './stage.js'

export interface PeopleStage {
  readonly stage: Stage
  readonly mails: MailServer
  readonly seeded: Seeded
  /** Through the screen; with the password that everybody here has, unless another is given. */
  signIn(page: Page, email: string, password?: string): Promise<void>
  /** Somebody whose address is `<name>@example.com`. */
  person(name: string, more?: object): Promise<{ id: string; email: string }>
  /** For `person`: in the organization there is. */
  member(permissions: string[]): object
}

export async function peopleStage(t: Test): Promise<PeopleStage> {
  const mails = await MailServer.start(t)
  const stage = await Stage.open(t, {
    environment: { SMTP_URL: mails.url, EMAIL_FROM: 'Interval <interval@example.com>' },
  })
  const seeded = await stage.seed()
  return {
    stage,
    mails,
    seeded,
    async signIn(page, email, password = seeded.password) {
      await page.goto('/login')
      await page.locator('input[name="email"]').fill(email)
      await page.locator('button[type="submit"]').first().click()
      await page.locator('input[name="password"]').fill(password)
      await page.locator('button[type="submit"]').first().click()
    },
    async person(name, more = {}) {
      const made = {
        email: `${name}@example.com`,
        firstName: name,
        lastName: 'Test',
        password: seeded.password,
      }
      return await stage.server.admin('createUser', { ...made, ...more })
    },
    member: permissions => ({ membership: { organizationId: seeded.organization.id, permissions } }),
  }
}

/** Path and query of an address in a mail. */
export function pathOf(url: string): string {
  return url.slice(new URL(url).origin.length)
}
