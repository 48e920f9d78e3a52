/**
 * A sample host, built with the real SDK as a user would build one. It runs in a process of its own, given the address
 * and a key in its environment, and ends when the process that started it ends (its standard input closes).
 */
import { Action, Interval, io, Layout, Page } from '@interval/sdk'

const endpoint = process.env.DEMO_ENDPOINT
const apiKey = process.env.DEMO_KEY
if (!endpoint || !apiKey) throw new Error('DEMO_ENDPOINT and DEMO_KEY must be set')

process.stdin.resume()
process.stdin.on('end', () => process.exit(0))
process.stdin.on('error', () => process.exit(0))

const people = Array.from({ length: 120 }, (_, index) => ({
  id: index + 1,
  name: `${['Ada', 'Grace', 'Edsger', 'Barbara', 'Alan', 'Radia'][index % 6]} ${['Quill', 'Marsh', 'Holt', 'Vane', 'Brook'][index % 5]}`,
  email: `person${index + 1}@example.com`,
  plan: ['Free', 'Team', 'Business'][index % 3],
  active: index % 4 !== 0,
  joined: new Date(Date.UTC(2024, index % 12, (index % 27) + 1)),
}))

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

const interval = new Interval({
  endpoint,
  apiKey,
  logLevel: 'quiet',
  routes: {
    hello: new Action({
      name: 'Say hello',
      description: 'The smallest action: one question, one answer.',
      handler: async () => {
        const name = await io.input.text('Your name')
        return `Hello, ${name}!`
      },
    }),
    sign_up: new Action({
      name: 'Sign somebody up',
      description: 'A form with several fields, checked in the browser, in the server and in the action.',
      handler: async () => {
        const { name, email, age, plan, newsletter } = await io
          .group({
            name: io.input.text('Full name', { minLength: 2, maxLength: 60 }),
            email: io.input.email('Email address'),
            age: io.input.number('Age', { min: 13, max: 130 }).optional(),
            plan: io.select.single('Plan', { options: ['Free', 'Team', 'Business'], defaultValue: 'Free' }),
            newsletter: io.input.boolean('Send the newsletter', { defaultValue: true }),
          })
          .validate(({ plan, age }) => {
            return plan === 'Business' && (age ?? 18) < 18 ? 'The Business plan is for adults.' : undefined
          })
        return { name, email, age: age ?? null, plan, newsletter }
      },
    }),
    refund: new Action({
      name: 'Refund a payment',
      description: 'Asks before it does something that cannot be undone.',
      handler: async (_io, ctx) => {
        const amount = await io.input.number('Amount', { min: 0.01, decimals: 2, currency: 'USD' })
        const sure = await io.confirm(`Refund ${amount.toFixed(2)} USD?`, {
          helpText: 'This cannot be undone.',
        })
        if (!sure) return 'Nothing was refunded.'
        await ctx.loading.start({ label: 'Refunding …', description: 'Talking to the bank' })
        await pause(800)
        await ctx.log('Refunded', amount)
        return { refunded: amount }
      },
    }),
    find_people: new Action({
      name: 'Find people',
      description: 'A table to choose from.',
      handler: async () => {
        const chosen = await io.select.table('Choose people', {
          data: people,
          minSelections: 1,
          maxSelections: 5,
        })
        await io.display.markdown(
          `You chose **${chosen.length}**: ${chosen.map(person => person.name).join(', ')}.`,
        )
        await io.display.table('The chosen', { data: chosen })
        return { chosen: chosen.length }
      },
    }),
    show_everything: new Action({
      name: 'Show things',
      description: 'Headings, markdown, objects, metadata, code and tables.',
      handler: async () => {
        await io.group([
          io.display.heading('A heading', { description: 'With a description' }),
          io.display.markdown('Markdown with **bold** text, `code` and\n\n- a list\n- of things'),
          io.display.metadata('Facts', {
            data: [
              { label: 'People', value: people.length },
              { label: 'Active', value: people.filter(person => person.active).length },
            ],
          }),
          io.display.object('An object', {
            data: { nested: { list: [1, 2, 3], when: new Date(0) }, flag: true },
          }),
          io.display.code('Code', { code: 'const answer = 42', language: 'typescript' }),
          io.display.table('A table', { data: people.slice(0, 30), defaultPageSize: 10 }),
        ])
        return 'That is all.'
      },
    }),
    import_rows: new Action({
      name: 'Import rows in the background',
      description: 'Goes on when you leave, with progress and logs.',
      backgroundable: true,
      handler: async (_io, ctx) => {
        const rows = await io.input.number('How many rows?', { min: 1, max: 50, defaultValue: 10 })
        await ctx.loading.start({ label: 'Importing rows', itemsInQueue: rows })
        for (let row = 1; row <= rows; row++) {
          await pause(200)
          await ctx.log(`Row ${row} of ${rows}`)
          await ctx.loading.completeOne()
        }
        return { imported: rows }
      },
    }),
    fail: new Action({
      name: 'Fail',
      description: 'Shows how an error of an action looks.',
      handler: async () => {
        await io.input.boolean('Really fail?', { defaultValue: true })
        throw new RangeError('This action fails on purpose.')
      },
    }),
    people: new Page({
      name: 'People',
      description: 'A page with a live table.',
      handler: async () =>
        new Layout({
          title: 'People',
          description: 'Everybody who has signed up.',
          menuItems: [{ label: 'Sign somebody up', route: 'sign_up' }],
          children: [
            io.display.metadata('', { data: [{ label: 'People', value: people.length }] }),
            io.display.table('Everybody', { data: people }),
          ],
        }),
      routes: {
        deactivate: new Action({
          name: 'Deactivate a person',
          handler: async () => {
            const person = await io.search('Person', {
              onSearch: async text =>
                people
                  .filter(candidate => candidate.name.toLowerCase().includes(text.toLowerCase()))
                  .slice(0, 10),
              renderResult: candidate => ({ label: candidate.name, description: candidate.email }),
            })
            person.active = false
            return `${person.name} is not active any more.`
          },
        }),
      },
    }),
  },
})

await interval.listen()
process.stdout.write('connected\n')
