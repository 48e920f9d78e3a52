/**
 * A host with one action per IO method and variant, built with the real SDK and run as a process of its own; browser
 * tests drive it. Each action returns what it was given, so that a test sees on screen what reached the host.
 */
import { Action, ctx, Interval, io, Layout, Page } from '@interval/sdk'
import { hostSettings } from './host-settings.js'

const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms))

/** A line of text that says what reached the host, types included. */
function said(value: unknown): string {
  if (value === undefined) return 'undefined'
  return JSON.stringify(value, (_key, inner: unknown) => (inner instanceof URL ? `URL ${inner.href}` : inner))
}

const people = ['Ada', 'Grace', 'Edsger', 'Barbara', 'Alan', 'Radia', 'Ken', 'Donald'].map((name, index) => ({
  id: index + 1,
  name,
  email: `${name.toLowerCase()}@example.com`,
}))

const manyRows = Array.from({ length: 10_000 }, (_none, index) => ({
  id: index + 1,
  name: `Person ${index + 1}`,
  plan: ['Free', 'Team', 'Business'][index % 3],
  joined: index % 7 === 0 ? null : new Date(Date.UTC(2024, index % 12, (index % 27) + 1, 12)),
  active: index % 2 === 0,
}))

const day = new Date(2022, 6, 20, 13, 5)
/** A picture of one dot, and one of 0.6 MB: the rest is what decoders skip. */
const dot = Buffer.from(
  'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNkYPhfDwAChwGA60e6kgAAAABJRU5ErkJggg==',
  'base64',
)
const bigPicture = Buffer.concat([dot, Buffer.alloc(600_000)])

/** One of each size, and one of none. */
const pictured = ['thumbnail', 'small', 'medium', 'large', undefined].map(size => ({
  name: size ?? 'none',
  image: {
    url: `https://example.com/${size ?? 'none'}.png`,
    ...(size !== undefined && { size: size as 'thumbnail' | 'small' | 'medium' | 'large' }),
  },
}))

const interval = new Interval({
  ...hostSettings,
  routes: {
    text: async () =>
      said([
        await io.input.text('Plain', { placeholder: 'Say something', helpText: 'Anything goes' }),
        await io.input.text('Bounded', { minLength: 5, maxLength: 20 }),
        await io.input.text('Lines', { multiline: true, lines: 6, defaultValue: 'first\nsecond' }),
      ]),
    text_unguarded: new Action({
      warnOnClose: false,
      handler: async () => said(await io.input.text('Plain')),
    }),
    text_checked: async () =>
      said(
        await io.input
          .text('Odd one', { defaultValue: 'even' })
          .validate(value => (value.length % 2 === 0 ? 'Only odd lengths.' : undefined)),
      ),
    email: async () => said(await io.input.email('Mail to')),
    number: async () =>
      said(
        await io.group({
          whole: io.input.number('Whole', { min: 13, max: 100 }),
          price: io.input.number('Price', { currency: 'USD' }),
          precise: io.input.number('Precise', { decimals: 3, prepend: '±' }),
          from: io.input.number('From', { defaultValue: -7, max: 0 }),
        }),
      ),
    boolean: async () =>
      said(
        await io.group({
          off: io.input.boolean('Off'),
          on: io.input.boolean('On', { defaultValue: true, helpText: 'On from the start' }),
        }),
      ),
    url: async () =>
      said(
        await io.group({
          any: io.input.url('Any address'),
          secure: io.input.url('Secure address', { allowedProtocols: ['https'] }),
        }),
      ),
    slider: async () =>
      said(
        await io.group({
          coarse: io.input.slider('Coarse', { min: 9, max: 10 }),
          fine: io.input.slider('Fine', { min: 0, max: 20, step: 0.5, defaultValue: 2.5 }),
          tiny: io.input.slider('Tiny', { min: 0, max: 1e-6, step: 1e-7, defaultValue: 3e-7 }),
        }),
      ),
    date: async () => {
      const answers = await io.group({
        day: io.input.date('Day', { min: new Date(2022, 0, 1), max: new Date(2022, 11, 31) }),
        time: io.input.time('Clock', { min: { hour: 8, minute: 30 }, max: { hour: 20, minute: 0 } }),
        moment: io.input.datetime('Moment', { defaultValue: day, max: new Date(2022, 6, 31, 12, 0) }),
      })
      return said({
        day: [answers.day.year, answers.day.month, answers.day.day],
        time: [answers.time.hour, answers.time.minute],
        moment: [answers.moment.year, answers.moment.month, answers.moment.day, answers.moment.hour],
        isDate: answers.day.jsDate instanceof Date,
      })
    },
    date_result: async () => await io.input.date('Only day', { defaultValue: new Date(2022, 1, 25) }),
    // Days and hours that some zones do not have, and one before the years had four digits.
    calendar: async () => {
      const march13 = { year: 2022, month: 3, day: 13 }
      const answers = await io.group({
        skipped: io.input.date('Skipped', {
          defaultValue: { year: 2011, month: 12, day: 30 },
          min: { year: 2011, month: 12, day: 30 },
          max: { year: 2011, month: 12, day: 30 },
        }),
        early: io.input.date('Early', { defaultValue: { year: 50, month: 1, day: 2 } }),
        left: io.input.date('Left out', { defaultValue: march13, min: march13 }).optional(),
        midnight: io.input.time('Midnight', { defaultValue: { hour: 0, minute: 5 } }),
        evening: io.input.time('Evening', { min: { hour: 12, minute: 0 } }).optional(),
        gap: io.input.datetime('Gap', {
          min: { ...march13, hour: 2, minute: 15 },
          max: { ...march13, hour: 2, minute: 45 },
        }),
        half: io.input.datetime('In two parts').optional(),
      })
      const plain = (value: object | undefined) => value && { ...value, jsDate: undefined }
      return said(Object.fromEntries(Object.entries(answers).map(([key, value]) => [key, plain(value)])))
    },
    given: async () =>
      said(
        await io.group({
          word: io.input.text('Word', { defaultValue: 'given' }),
          short: io.input.text('Short', { maxLength: 3, defaultValue: 'long' }),
          long: io.input.text('Long', { minLength: 3 }).optional(),
          none: io.input.text('None', { defaultValue: 'taken away' }).optional(),
          fixed: io.input.text('Fixed', { defaultValue: 'stays', disabled: true }),
          mail: io.input.email('Mail', {
            defaultValue: 'ada@example.com',
            placeholder: 'you@example.com',
            helpText: 'Where to write',
          }),
          site: io.input.url('Site', { defaultValue: 'https://example.com/x', placeholder: 'https://' }),
          other: io.input.url('Other').optional(),
          least: io.input.number('Least', { min: 13, placeholder: 'A number' }),
          euros: io.input.number('Euros', { currency: 'EUR', decimals: 3, defaultValue: 12.5 }),
          five: io.input.number('Five', { defaultValue: 5 }).optional(),
          yes: io.input.boolean('Yes', { defaultValue: true }).optional(),
        }),
      ),
    below_zero: async () =>
      said(
        await io.group({
          cold: io.input.slider('Cold', { min: -20, max: 20 }),
          above: io.input.slider('Above', { min: 0, max: 20, helpText: 'Nothing below' }),
          none: io.input.slider('None', { min: -5, max: 5, defaultValue: -2 }).optional(),
        }),
      ),
    select_given: async () =>
      said(
        await io.group({
          role: io.select
            .single('Role', { options: ['Viewer', 'Editor'], defaultValue: 'Editor' })
            .optional(),
          some: io.select
            .multiple('Some', {
              options: [
                { label: 'One', value: 1 },
                { label: 'Two', value: '2' },
              ],
              defaultValue: [{ label: 'One', value: 1 }],
              helpText: 'One or both',
            })
            .optional(),
          who: io.search('Who', {
            initialResults: people,
            defaultValue: people[1] as (typeof people)[number],
            renderResult: person => person.name,
            onSearch: async () => people,
            helpText: 'Somebody we know',
            placeholder: 'A name',
          }),
          whom: io
            .search('Whom', {
              renderResult: (person: { name: string }) => person.name,
              onSearch: async () => people,
            })
            .multiple({ defaultValue: people.slice(0, 2) })
            .optional(),
        }),
      ),
    rich_text: async () =>
      said(await io.input.richText('Words', { helpText: 'Formatted', placeholder: 'Write here' })),
    rich_text_default: async () =>
      said(
        await io.input.richText('Draft', {
          defaultValue:
            '<h2>Hello</h2><p>old <strong>words</strong></p><script>window.broken = 1</script><img src="x" onerror="window.broken = 1"><p><a href="javascript:window.broken=1">link</a></p>',
        }),
      ),
    spreadsheet: async () => {
      const rows = await io.experimental.spreadsheet('Sheet', {
        columns: { first: 'string', last: 'string?', years: 'number', admin: 'boolean' },
      })
      return { count: rows.length, ...rows[0] }
    },
    spreadsheet_default: async () =>
      said(
        await io.experimental.spreadsheet('Filled sheet', {
          helpText: 'Thirty rows',
          columns: { first: 'string', years: 'number?' },
          // The schema takes it, the published types do not.
          ...({
            defaultValue: Array.from({ length: 30 }, (_none, index) => ({
              first: `r${index}`,
              years: index,
            })),
          } as object),
        }),
      ),
    credentials: async () => said(await io.experimental.credentials('github')),
    select_single: async () =>
      said(
        await io.group({
          plain: io.select.single('Role', { options: ['Viewer', 'Editor', 'Owner'] }),
          rich: io.select.single('Team', {
            options: [
              {
                label: 'Red',
                value: 1,
                description: 'The first',
                image: { url: 'https://example.com/red.png' },
              },
              { label: 'Blue', value: '1', description: 'The second' },
            ],
            defaultValue: { label: 'Blue', value: '1', description: 'The second' },
          }),
          when: io.select.single('When', { options: [day, new Date(2023, 0, 2, 3, 4)] }),
          wrong: io.select.single('Wrong default', { options: ['a', 'b'], defaultValue: 'z' as 'a' }),
        }),
      ),
    select_multiple: async () =>
      said(
        await io.group({
          some: io.select.multiple('Pick', {
            options: ['A', 3, true, day],
            defaultValue: [3, true],
            minSelections: 1,
            maxSelections: 2,
          }),
          wrong: io.select.multiple('Wrong defaults', {
            options: ['a', 'b'],
            defaultValue: ['z' as 'a'],
          }),
        }),
      ),
    search: async () =>
      said(
        await io.group({
          one: io.search('Somebody', {
            initialResults: people.slice(0, 2),
            renderResult: person => ({
              label: person.name,
              description: person.email,
              image: { url: 'https://example.com/face.png', size: 'small' },
            }),
            onSearch: async query => {
              await pause(300)
              return people.filter(person => person.name.toLowerCase().includes(query.toLowerCase()))
            },
          }),
          several: io
            .search<(typeof people)[number]>('Several', {
              renderResult: person => person.name,
              onSearch: async query => people.filter(person => person.name.toLowerCase().includes(query)),
            })
            .multiple({ defaultValue: people.slice(6, 7) }),
        }),
      ),
    search_slow: async () =>
      said(
        await io.search<(typeof people)[number]>('Slowly', {
          renderResult: person => person.name,
          onSearch: async query => {
            await pause(query === 'a' ? 1_500 : 100)
            return people.filter(person => person.name.toLowerCase().startsWith(query))
          },
        }),
      ),
    search_twice: async () => {
      const find = (label: string) =>
        io.search<(typeof people)[number]>(label, {
          renderResult: person => person.name,
          onSearch: async query => people.filter(person => person.name.toLowerCase().startsWith(query)),
        })
      const first = await find('First person')
      const second = await find('Second person')
      return said([first.name, second.name])
    },
    all_optional: async () =>
      said(
        await io.group([
          io.input.text('text').optional(),
          io.input.email('email').optional(),
          io.input.number('number').optional(),
          io.input.url('link').optional(),
          io.input.boolean('boolean').optional(),
          io.input.date('date').optional(),
          io.input.time('time').optional(),
          io.input.datetime('datetime').optional(),
          io.input.slider('slider', { min: 1, max: 3 }).optional(),
          io.input.richText('rich').optional(),
          io.experimental.spreadsheet('sheet', { columns: { a: 'string' } }).optional(),
          io.select.single('select single', { options: [1, 2] }).optional(),
          io.select.multiple('select multiple', { options: [1, 2], minSelections: 1 }).optional(),
          io.select.table('select table', { data: people, minSelections: 1 }).optional(),
          io
            .search('search', {
              renderResult: (person: { name: string }) => person.name,
              onSearch: async () => people,
            })
            .optional(),
        ]),
      ),
    group_checked: async () =>
      said(
        await io
          .group(
            {
              name: io.input.text('Name').validate(name => (name === 'Bob' ? 'Not Bob.' : undefined)),
              years: io.input.number('Years').optional(),
            },
            { continueButton: { label: 'Send it', theme: 'danger' } },
          )
          .validate(({ name, years }) =>
            years === undefined && name === 'Ada' ? 'Ada has years.' : undefined,
          ),
      ),
    choices: async () => {
      const { choice, returnValue } = await io
        .group({ name: io.input.text('Name') })
        .withChoices(['Save', { label: 'Remove', value: 'remove', theme: 'danger' }])
      const shown = await io.group([io.display.markdown('Sure?')]).withChoices(['Yes', 'No'])
      return said({ choice, name: returnValue.name, after: shown.choice })
    },
    many_fields: async () =>
      said(
        (
          await io.group(
            Array.from({ length: 100 }, (_none, index) =>
              io.input.text(`Field ${index}`, { defaultValue: 'x' }),
            ) as unknown as [ReturnType<typeof io.input.text>],
          )
        ).length,
      ),
    displays: async () => {
      await io.display.heading('Level two', { description: 'Described' })
      await io.group([
        io.display.heading('Level three', {
          level: 3,
          menuItems: [
            { label: 'Inside', route: 'text', params: { a: 1, empty: '' } },
            { label: 'Outside', url: 'https://example.com', theme: 'danger' },
          ],
        }),
        io.display.heading('Level four', { level: 4 }),
        io.display.markdown(`
          # Title

          - one
          - two

          ~~~js
          const a = 1
          ~~~
        `),
        io.display.html('Markup', {
          html: '<h1 style="color:red" class="x">Big</h1><p>Some <em>words</em> <u>here</u></p><script>window.broken = 1</script><form><button>Press</button></form><iframe src="https://example.com"></iframe><img src=x onerror="window.broken = 1">',
        }),
        io.display.code('Source', {
          code: `
            const answer = 42
              // indented
          `,
          language: 'typescript',
        }),
        io.display.link('To an action', { route: 'text', params: { name: 'Ada' } }),
        io.display.link('Old name', { action: 'text', params: { name: 'Ada' } }),
        io.display.link('Away', { url: 'https://example.com' }),
        io.display.object('Thing', {
          data: {
            yes: true,
            none: null,
            count: 15,
            big: 5n as unknown as number,
            words: 'text',
            small: { a: 1 },
            large: { a: 1, b: 2, c: 3, d: 4, e: 5 },
            list: [1, 2],
            map: new Map([['k', 'v']]) as unknown as object,
            set: new Set(['s']) as unknown as object,
          },
        }),
      ])
      return null
    },
    media: async () => {
      await io.display.image('Picture', { buffer: bigPicture, alt: 'A dot', size: 'medium' })
      await io.display.image('Far away', {
        url: 'https://example.com/no.png',
        width: 'small',
        height: 'thumbnail',
      })
      await io.display.video('Film', { buffer: Buffer.alloc(400_000), muted: true, loop: true })
      return 'seen'
    },
    pictures: async () => {
      await io.display.table('In cells', {
        data: pictured,
        columns: [
          { label: 'Seen', renderCell: ({ image }) => ({ image }) },
          // As SDKs before 0.33 say it, and SDKs since then still send.
          {
            label: 'Wide',
            renderCell: ({ image }) => ({ image: { url: image.url, width: 'medium', height: 'small' } }),
          },
        ],
      })
      await io.display.metadata('As facts', {
        data: pictured.map(({ name, image }) => ({ label: name, value: name, image })),
      })
      return said(
        await io.group({
          one: io.select.single('One of them', {
            options: pictured.map(({ name, image }) => ({ label: name, value: name, image })),
          }),
          found: io.search('Another', {
            initialResults: pictured,
            renderResult: ({ name, image }) => ({ label: name, image }),
            onSearch: async () => pictured,
          }),
        }),
      )
    },
    metadata: async () => {
      const data = [
        { label: 'Plain', value: 'words' },
        { label: 'Number', value: 1337 },
        { label: 'Nothing', value: null },
        { label: 'Left out' },
        { label: 'Later', value: () => pause(700).then(() => 'arrived') },
        { label: 'Soon', value: pause(300).then(() => 'here') },
        { label: 'Link', value: 'go', url: 'https://example.com' },
        { label: 'Action', value: 'run', route: 'text', params: { id: 1 } },
        {
          label: 'Face',
          value: 'face',
          image: { url: 'https://example.com/f.png', size: 'thumbnail' as const },
        },
      ]
      await io.display.metadata('As grid', { data })
      await io.display.metadata('As list', { data, layout: 'list' })
      await io.display.metadata('As card', { data, layout: 'card' })
      return 'shown'
    },
    grid: async () => {
      await io.display.grid('Cards', {
        helpText: 'Thirty of them',
        data: Array.from({ length: 30 }, (_none, index) => ({ index, secret: `s${index}` })),
        idealColumnWidth: 200,
        defaultPageSize: 6,
        renderItem: item => ({
          label: `Card ${item.index}`,
          description: `The number ${item.index}`,
          image: { url: 'https://example.com/no.png', fit: 'contain', aspectRatio: 2 },
          route: 'text',
          params: { card: item.index },
          menu: [
            { label: `Edit ${item.index}`, route: 'text', params: { edit: item.index } },
            { label: 'Site', url: 'https://example.com' },
            { label: 'Off', disabled: true },
          ],
        }),
      })
      await io.display.grid('Lazy cards', {
        defaultPageSize: 10,
        getData: async ({ queryTerm, offset, pageSize }) => {
          const all = manyRows.filter(row => row.name.toLowerCase().includes((queryTerm ?? '').toLowerCase()))
          return { data: all.slice(offset, offset + pageSize), totalRecords: all.length }
        },
        renderItem: row => ({ label: row.name }),
      })
      return 'shown'
    },
    progress: async () => {
      await ctx.loading.start({ label: 'Working', description: 'On it', itemsInQueue: 3 })
      for (let index = 0; index < 3; index++) {
        await pause(1_000)
        await ctx.loading.completeOne()
        await ctx.log('Item', index, 'done')
      }
      await pause(1_000)
      await ctx.loading.start()
      await pause(1_000)
      return 'finished'
    },
    // No SDK offers these any more, their wire has them.
    progress_shown: async () => {
      const shown = (label: string, methodName: string, props: object) =>
        Object.assign(io.display.object(label, { data: {} }), { methodName, props })
      await io.group([
        shown('Moving', 'DISPLAY_PROGRESS_STEPS', {
          steps: { completed: 1, total: 3 },
          currentStep: 'Packing',
          subTitle: 'Then the van',
        }),
        shown('Thinking', 'DISPLAY_PROGRESS_INDETERMINATE', {}),
        shown('Rooms', 'DISPLAY_PROGRESS_THROUGH_LIST', {
          items: [
            { label: 'Kitchen', isComplete: true, resultDescription: 'All in boxes' },
            { label: 'Cellar', isComplete: false, resultDescription: null },
          ],
        }),
      ])
      return 'shown'
    },
    notify: async () => {
      await ctx.notify({
        title: 'Hello',
        message: 'from the host',
        delivery: [{ to: 'a@example.com', method: 'EMAIL' }],
      })
      await ctx.notify({ message: 'untitled', delivery: [{ to: 'b@example.com' }] })
      return 'told'
    },
    fail: async () => {
      throw new RangeError('Out of reach', { cause: new TypeError('The arm is too short') })
    },
    result: async () =>
      ({
        words: 'text',
        number: 1337,
        fraction: 12.345,
        yes: true,
        none: null,
        when: day,
        iso: day.toJSON(),
        site: 'https://example.com',
        mail: 'ada@example.com',
        nested: { a: [1, 2] },
      }) as unknown as Record<string, never>,
    scalar: async () => 5n,
    redirect_action: async () => {
      await io.input.text('Go where')
      await ctx.redirect({ route: 'text', params: { from: 'redirect' } })
    },
    redirect_away: async () => {
      await ctx.redirect({ url: String(ctx.params.to) })
    },
    redirect_nowhere: async () => {
      await ctx.log('See https://example.com/a?b=1, and <b>not bold</b>.')
      await ctx.redirect({ url: 'javascript:window.broken=1' })
    },
    redirect_replace: async () => {
      await ctx.redirect({ route: 'text', replace: true })
    },
    confirm: async () => {
      const first = await io.confirm('Really remove it?', { helpText: 'It is gone then.' })
      const second = await io.confirm('And the copy?')
      return said([first, second])
    },
    wait: async () => {
      await pause(1_500)
      return said(await io.input.text('After a while'))
    },
    long: async () => {
      await io.group([
        ...Array.from({ length: 30 }, (_none, index) =>
          io.input.text(`Row ${index}`, index === 20 ? {} : { defaultValue: 'x' }),
        ),
      ] as unknown as [ReturnType<typeof io.input.text>])
      return 'long'
    },
    table: async () => {
      await io.display.table('Small', { data: people, defaultPageSize: 5, columns: ['id', 'name', 'email'] })
      await io.display.table('Renderings', {
        data: [
          { id: 1, when: day, iso: day.toJSON(), big: 12345678901234567890n, words: 'x '.repeat(300).trim() },
          { id: 2, when: null, iso: null, big: null, words: null },
        ],
        columns: [
          'id',
          'when',
          'iso',
          { label: 'Number', renderCell: row => (row.id === 1 ? 1234567 : 0) },
          {
            label: 'Linked',
            renderCell: row => ({ label: `Site ${row.id}`, url: `https://example.com/?row=${row.id}` }),
          },
          {
            label: 'Run',
            renderCell: row => ({ label: `Run ${row.id}`, route: 'text', params: { id: row.id } }),
          },
          {
            label: 'Seen',
            renderCell: row => ({ image: { url: `https://example.com/${row.id}.png`, size: 'small' } }),
          },
          { label: 'Marked', renderCell: () => ({ label: 'hot', highlightColor: 'red' }) },
          { label: 'Flag', renderCell: row => row.id === 1 },
          { label: 'Words', accessorKey: 'words' },
          {
            label: 'Pictured',
            renderCell: () => ({
              label: 'Words of it',
              image: { url: 'https://example.com/face.png', alt: 'A face' },
            }),
          },
          {
            label: 'Seen only',
            renderCell: () => ({
              label: undefined,
              image: { url: 'https://example.com/x.png', size: 'large' },
            }),
          },
          { label: 'Valued', renderCell: () => ({ label: undefined, value: 5 }) },
          { label: 'Dated', renderCell: () => ({ value: day }) },
          { label: 'Old name', renderCell: () => ({ label: 'Shop', action: 'shop' }) },
          {
            label: 'Marked up',
            renderCell: () => 'see **bold** [x](https://example.com/md) [y](javascript:window.broken=1)',
          },
          { label: 'Bare address', renderCell: () => ({ url: 'https://example.com/bare' }) },
        ],
        rowMenuItems: row => [
          { label: `Edit ${row.id}`, route: 'text', params: { id: row.id } },
          { label: 'Elsewhere', url: 'https://example.com' },
          { label: 'Never', disabled: true },
        ],
      })
      await io.display.table('Upright', { data: people, orientation: 'vertical' })
      await io.display.table('Empty', { data: [] })
      await io.display.table('Bare', { data: people.slice(0, 2), isSortable: false, isFilterable: false })
      return 'shown'
    },
    table_large: async () => {
      await io.display.table('Large', { data: manyRows })
      return 'shown'
    },
    table_lazy: async () => {
      await io.display.table<(typeof manyRows)[number]>('Lazy', {
        columns: ['id', 'name', { label: 'Shout', renderCell: row => row.name.toUpperCase() }],
        getData: async ({ queryTerm, sortColumn, sortDirection, offset, pageSize }) => {
          const found = manyRows.filter(row =>
            row.name.toLowerCase().includes((queryTerm ?? '').toLowerCase()),
          )
          if (sortColumn === 'id')
            found.sort((a, b) => (sortDirection === 'desc' ? b.id - a.id : a.id - b.id))
          return { data: found.slice(offset, offset + pageSize), totalRecords: found.length }
        },
      })
      return 'shown'
    },
    table_short: async () => {
      await io.display.table<(typeof manyRows)[number]>('Short of rows', {
        columns: ['id', 'name'],
        getData: async ({ offset, pageSize }) => ({
          data: manyRows.slice(0, 30).slice(offset, offset + pageSize),
          totalRecords: 50,
        }),
      })
      return 'shown'
    },
    select_table: async () => {
      const chosen = await io.select.table('Choose some', {
        data: people,
        columns: ['id', 'name'],
        defaultPageSize: 3,
        minSelections: 2,
        maxSelections: 5,
        initiallySelected: person => person.id === 8,
      })
      const one = await io.select.table('Choose one', { data: people, minSelections: 1, maxSelections: 1 })
      return said([chosen.map(person => person.id), one.map(person => person.name)])
    },
    select_menu: async () => {
      const chosen = await io.select.table('Choose beside menus', {
        data: people.slice(0, 3),
        columns: ['id', 'name'],
        rowMenuItems: person => [
          { label: `Edit ${person.name}`, route: 'text', params: { id: person.id } },
          { label: 'Never', disabled: true },
        ],
      })
      return said(chosen.map(person => person.name))
    },
    select_large: async () => {
      const chosen = await io.select.table('Choose many', { data: manyRows, columns: ['id', 'name', 'plan'] })
      return said([chosen.length, chosen[0]?.id, chosen.at(-1)?.id])
    },
    params: async () => said(ctx.params),
    // Pages of all kinds inside of one another.
    tree: new Page({
      name: 'Tree',
      handler: async () => undefined,
      routes: {
        leaf: async () => 'leaf',
        named: new Action({ name: 'A leaf with a name', handler: async () => 'named' }),
        hidden: new Action({ unlisted: true, handler: async () => 'found all the same' }),
        branch: new Page({
          name: 'Branch',
          routes: { twig: new Action({ name: 'Twig', handler: async () => said(ctx.params) }) },
        }),
        under: new Page({
          name: 'Under the leaves',
          unlisted: true,
          routes: { seed: new Action({ name: 'Seed', handler: async () => 'seed' }) },
        }),
      },
    }),
    shop: new Page({
      name: 'Shop',
      handler: async () =>
        new Layout({
          title: 'The shop',
          description: 'What is in it.',
          menuItems: [
            { label: 'Add a thing', route: 'text', params: { thing: 'new' } },
            { label: 'Website', url: 'https://example.com' },
          ],
          children: [
            io.display.metadata('Facts', { data: [{ label: 'Things', value: pause(400).then(() => 3) }] }),
            io.display.table('Stock', { data: manyRows, columns: ['id', 'name'] }),
            io.display.grid('Shelf', {
              data: [1, 2, 3],
              renderItem: number => ({ label: `Shelf ${number}` }),
            }),
          ],
        }),
      routes: {
        buy: new Action({ name: 'Buy', handler: async () => said(await io.input.text('What')) }),
        hidden: new Action({ name: 'Hidden', unlisted: true, handler: async () => 'found' }),
        broken: new Page({
          name: 'Broken',
          handler: async () => {
            throw new Error('The shelf fell down')
          },
        }),
        later: new Page({
          name: 'Later',
          handler: async () =>
            new Layout({
              title: pause(500).then(() => 'Late title'),
              description: () => pause(300).then(() => 'Late words'),
            }),
        }),
        nameless: new Page({
          name: 'Nameless',
          unlisted: true,
          handler: async () =>
            new Layout({
              title: async () => {
                throw new Error('The sign fell down')
              },
              description: async () => {
                throw new Error('So did the words')
              },
              children: [io.display.markdown('Shelves')],
            }),
        }),
        away: new Page({
          name: 'Away',
          handler: async () => {
            await ctx.redirect({ route: 'text', replace: true })
            return new Layout({ title: 'Going' })
          },
        }),
      },
    }),
  },
})

await interval.listen()
process.stdout.write('connected\n')
