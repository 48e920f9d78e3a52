/**
 * The frame around the sections of an organization: its navigation beside them, on narrow screens a menu above them.
 * A section that does not exist and one that is not open to the person look alike.
 */
import { MenuButton, MenuItem, MenuProvider } from '@ariakit/react'
import { Suspense } from 'react'
import { Navigate } from 'react-router'
import type { Organization } from '../../api.js'
import { AppLink } from '../../components/app-link.js'
import { Icon } from '../../components/icon.js'
import { Menu } from '../../components/menu.js'
import { Loading, Notice } from '../../components/notice.js'
import { SectionMain } from '../../components/section.js'
import { organizationHref, placeHref } from '../../links.js'
import { type Section, sectionsFor } from './section-list.js'
import { sectionScreens } from './sections.js'

export default function OrganizationFrame({
  organization,
  section,
  rest,
}: {
  organization: Organization
  section: string
  rest: readonly string[]
}) {
  const shown = sectionsFor(organization)
  const current = shown.find(({ slug }) => slug === section)
  const hrefOf = ({ slug }: Section) => organizationHref({ organization: organization.slug }, slug)
  const [first] = shown
  if (section === '' && first !== undefined) return <Navigate to={hrefOf(first)} replace />
  if (current === undefined) {
    return (
      <Notice title="Not found" text="There is nothing at this address, or it is not open to you.">
        <AppLink
          className="link"
          href={placeHref({ organization: organization.slug, environment: 'production' })}
        >
          Go to the dashboard
        </AppLink>
      </Notice>
    )
  }
  const Screen = sectionScreens[current.slug]
  return (
    <div className="flex-1 lg:grid lg:grid-cols-[13rem_minmax(0,1fr)]">
      <nav
        aria-label="Organization"
        className="sticky top-0 hidden h-dvh overflow-y-auto border-r border-line px-3 py-8 lg:block"
      >
        <ul className="grid gap-0.5">
          {shown.map(entry => (
            <li key={entry.slug}>
              <AppLink
                href={hrefOf(entry)}
                aria-current={entry === current ? 'page' : undefined}
                className={`block rounded-control px-2.5 py-1.5 ${
                  entry === current ? 'bg-accent-soft font-medium text-accent' : 'hover:bg-sunken'
                }`}
              >
                {entry.label}
              </AppLink>
            </li>
          ))}
        </ul>
      </nav>
      <nav aria-label="Sections" className="border-b border-line px-4 py-2.5 sm:px-8 lg:hidden">
        <MenuProvider placement="bottom-start">
          <MenuButton className="button small" aria-label={`Section: ${current.label}`}>
            {current.label}
            <Icon name="chevronDown" className="size-4" />
          </MenuButton>
          <Menu className="w-60" aria-label="Sections of the organization">
            {shown.map(entry => (
              <MenuItem
                key={entry.slug}
                className="rounded-control px-2.5 py-2 data-[active-item]:bg-sunken"
                render={
                  <AppLink href={hrefOf(entry)} aria-current={entry === current ? 'page' : undefined} />
                }
              >
                {entry.label}
              </MenuItem>
            ))}
          </Menu>
        </MenuProvider>
      </nav>
      <div className="flex min-w-0 flex-col">
        <SectionMain>
          <Suspense fallback={<Loading />}>
            <Screen key={current.slug} organization={organization} rest={rest} />
          </Suspense>
        </SectionMain>
      </div>
    </div>
  )
}
