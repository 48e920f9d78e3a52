/** The generated parts of the documentation say what the code says. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { fillSections, outdatedDocuments, sections } from '../../../lib/cli/update-docs.js'
import { environmentTable } from '../../../lib/config/index.js'
import { packageRoot } from '../../../lib/root.js'

t.test('a section is replaced between its markers, and nothing else', async t => {
  const text = 'a\n<!-- limits:begin -->\nold\n<!-- limits:end -->\nb\n'
  const filled = fillSections(text, { limits: 'new', errors: 'unused' })
  t.equal(filled, 'a\n<!-- limits:begin -->\nnew\n<!-- limits:end -->\nb\n')
  t.equal(fillSections(filled, { limits: 'new' }), filled)
  t.match(sections().errors, '| `draining` ')
})

t.test('every document is up to date; `node dist/lib/cli/update-docs.js` mends it', async t => {
  t.same([...outdatedDocuments().keys()], [])
})

const readmeFile = join(packageRoot, 'README.md')
const readme = existsSync(readmeFile) ? readFileSync(readmeFile, 'utf8') : ''
const skip = readme.includes('<!-- environment:begin -->') ? false : 'README.md has no markers yet'

t.test('the README holds the table for those who come from the original', { skip }, async t => {
  t.ok(readme.includes(environmentTable()))
})
