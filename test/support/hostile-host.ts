/**
 * A host that means harm, built with the real SDK and run as a process of its own: every text and every address that an
 * action or a page can send to a browser carries something that calls `marker()` wherever it is not taken as words.
 */
import { Action, ctx, Interval, io, Layout, Page } from '@interval/sdk'
import { hostSettings } from './host-settings.js'
import { hostileAddresses, hostileMarkup, hostileMarkups } from './hostile-texts.js'

/** Named, so that a test can wait for it. */
const evil = (name: string) => `${name} ${hostileMarkup}`
const [address = ''] = hostileAddresses
const links = hostileAddresses.map((url, index) => ({ label: evil(`link ${index}`), url }))
const rows = hostileAddresses.map((url, index) => ({ id: index, url, words: evil(`row ${index}`) }))

const interval = new Interval({
  ...hostSettings,
  routes: {
    inputs: new Action({
      name: evil('inputs'),
      description: evil('description'),
      handler: async () => {
        const text = { helpText: evil('help'), placeholder: evil('placeholder') }
        await io.group({
          text: io.input
            .text(evil('text'), { ...text, defaultValue: evil('default') })
            .validate(() => evil('refused')),
          email: io.input.email(evil('email'), text).optional(),
          url: io.input.url(evil('url'), text).optional(),
          number: io.input.number(evil('number'), { ...text, prepend: '<b>' }).optional(),
          boolean: io.input.boolean(evil('boolean'), { helpText: evil('help') }),
          slider: io.input.slider(evil('slider'), { min: 0, max: 1, helpText: evil('help') }).optional(),
          date: io.input.date(evil('date'), { helpText: evil('help') }).optional(),
          rich: io.input
            .richText(evil('rich'), { helpText: evil('help'), defaultValue: hostileMarkups.join('') })
            .optional(),
          one: io.select
            .single(evil('one'), {
              options: [{ label: evil('option'), value: evil('value'), image: { url: address } }],
            })
            .optional(),
          many: io.select
            .multiple(evil('many'), { options: [{ label: evil('choice'), value: evil('value') }] })
            .optional(),
          table: io.select.table(evil('table'), { data: rows }).optional(),
          search: io
            .search<(typeof rows)[number]>(evil('search'), {
              initialResults: rows,
              renderResult: row => ({
                label: row.words,
                description: evil('found'),
                image: { url: row.url },
              }),
              onSearch: async () => rows,
            })
            .optional(),
          file: io.input.file(evil('file'), { helpText: evil('help') }).optional(),
          sheet: io.experimental
            .spreadsheet(evil('sheet'), { columns: { [evil('column')]: 'string?' } })
            .optional(),
        })
        return evil('unreachable')
      },
    }),
    displays: async () => {
      await io.group(
        [
          io.display.heading(evil('heading'), { description: evil('described'), menuItems: links }),
          io.display.markdown(
            [
              '# markdown',
              ...hostileMarkups,
              ...hostileAddresses.flatMap(url => [`[words](${url})`, `![picture](${url})`, `<${url}>`]),
              `[ref]: ${address}`,
              'See [ref].',
            ].join('\n\n'),
          ),
          ...hostileMarkups.map((html, index) => io.display.html(evil(`html ${index}`), { html })),
          io.display.html('addresses', {
            html: hostileAddresses
              .map(url => `<a href="${url}">words</a><img src="${url}"><form action="${url}"></form>`)
              .join(''),
          }),
          io.display.code(evil('code'), { code: hostileMarkups.join('\n'), language: 'html' }),
          ...links.map(({ label, url }) => io.display.link(label, { url })),
          ...hostileAddresses.map(url => io.display.image(evil('image'), { url, alt: evil('alt') })),
          ...hostileAddresses.map(url => io.display.video(evil('video'), { url })),
          io.display.object(evil('object'), { data: { [evil('key')]: evil('value'), address, links } }),
          io.display.metadata(evil('metadata'), {
            data: links.map(({ label, url }) => ({ label, value: label, url, image: { url, alt: label } })),
          }),
          io.display.table(evil('rows'), {
            data: rows,
            columns: [
              { label: evil('column'), renderCell: row => row.words },
              { label: 'Linked', renderCell: row => ({ label: row.words, url: row.url }) },
              {
                label: 'Seen',
                renderCell: row => ({ label: row.words, image: { url: row.url, alt: row.words } }),
              },
              { label: 'Bare', renderCell: row => row.url },
            ],
            rowMenuItems: () => links,
          }),
          io.display.grid(evil('grid'), {
            data: rows,
            renderItem: row => ({
              label: row.words,
              description: row.words,
              url: row.url,
              image: { url: row.url, alt: row.words },
              menu: links,
            }),
          }),
        ],
        { continueButton: { label: evil('continue') } },
      )
      return {
        [evil('key')]: evil('result'),
        address,
        list: hostileAddresses,
        nested: { [evil('in')]: links },
      } as unknown as Record<string, never>
    },
    asks: async () => {
      await ctx.loading.start({ label: evil('loading'), description: evil('described'), itemsInQueue: 2 })
      for (const url of hostileAddresses)
        await ctx.log(evil('logged'), url, `https://example.com/"onclick="marker()`)
      await ctx.notify({
        title: evil('notified'),
        message: evil('message'),
        delivery: [{ to: evil('somebody') }],
      })
      await io.confirm(evil('sure'), { helpText: evil('help') })
      throw Object.assign(new Error(evil('failed')), { name: evil('Failure') })
    },
    redirects: async () => {
      await ctx.redirect({ url: hostileAddresses[Number(ctx.params.at)] ?? '' })
    },
    page: new Page({
      name: evil('page'),
      description: evil('about'),
      handler: async () =>
        new Layout({
          title: evil('title'),
          description: evil('described'),
          menuItems: links,
          children: [
            io.display.html('On a page', { html: hostileMarkups.join('') }),
            io.display.table('Of a page', { data: rows, rowMenuItems: () => links }),
          ],
        }),
      routes: {
        inside: new Action({ name: evil('inside'), handler: async () => 'ran' }),
        broken: new Page({
          name: evil('broken'),
          handler: async () => {
            throw new Error(evil('broke'))
          },
        }),
      },
    }),
  },
})

await interval.listen()
process.stdout.write('connected\n')
