/**
 * Every route that the API describes, walked: what is described for access tokens takes them, asks who is there before
 * anything else, and shows nothing of an organization to somebody who is not in it.
 */
import t from 'tap'
import { TestServer } from '../support/server.js'

t.setTimeout(120_000)
const server = await TestServer.start()
t.teardown(() => server.stop())
const ours = await server.seed('Ada Owner')
const theirs = await server.seed('Eve Elsewhere')

interface Route {
  readonly method: string
  readonly path: string
}

async function tokenOf(who: { user: { email: string }; password: string }): Promise<string> {
  const cookie = await server.signIn(who.user.email, who.password)
  const made = await fetch(`${server.address}/api/v1/access-tokens`, {
    method: 'POST',
    headers: { cookie, origin: server.address, 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'A walk', scope: 'write', days: 1 }),
  })
  return ((await made.json()) as { token: string }).token
}

async function ask({ method, path }: Route, token?: string): Promise<{ status: number; text: string }> {
  const response = await fetch(server.address + path, {
    method,
    headers: {
      ...(token !== undefined && { authorization: `Bearer ${token}` }),
      ...(method !== 'GET' && { 'content-type': 'application/json' }),
    },
    ...(method !== 'GET' && method !== 'DELETE' && { body: '{}' }),
  })
  return { status: response.status, text: await response.text() }
}

const described = (await (await fetch(`${server.address}/api/v1/openapi.json`)).json()) as {
  paths: Record<string, Record<string, unknown>>
}
const routes: Route[] = Object.entries(described.paths).flatMap(([path, methods]) =>
  Object.keys(methods).map(method => ({
    method: method.toUpperCase(),
    path: path
      .replace('{org}', ours.organization.slug)
      .replace('{env}', 'production')
      .replace(/\{\w+\}/g, 'nothing-of-this-name'),
  })),
)
const ofOrganization = routes.filter(({ path }) => path.includes(`/${ours.organization.slug}`))
const nameOf = ({ method, path }: Route): string => `${method} ${path}`

t.test('there are routes to walk', async t => {
  t.ok(routes.length > 60, `${routes.length} routes`)
  t.ok(ofOrganization.length > 40, `${ofOrganization.length} of them are of an organization`)
})

t.test('nobody is refused who they are only after something else was looked at', async t => {
  for (const route of routes) {
    const { status, text } = await ask(route)
    t.equal(status, 401, `${nameOf(route)} asks who is there: ${text}`)
  }
})

t.test('somebody of another organization sees that there is nothing', async t => {
  const token = await tokenOf(theirs)
  for (const route of ofOrganization) {
    const { status, text } = await ask(route, token)
    // What is wrong with the request itself may be said first: it tells nothing of the organization.
    t.ok([400, 404, 422].includes(status), `${nameOf(route)} is not there: ${status} ${text}`)
    t.notMatch(text, ours.organization.id)
  }
})

t.test('the owner’s token is taken everywhere', async t => {
  const token = await tokenOf(ours)
  for (const route of routes) {
    const { status, text } = await ask(route, token)
    t.notMatch(text, 'An access token cannot do this', nameOf(route))
    t.not(status, 401, `${nameOf(route)}: ${text}`)
    t.ok(status < 500 || status === 503, `${nameOf(route)}: ${status} ${text}`)
  }
})
