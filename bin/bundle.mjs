#!/usr/bin/env node
/**
 * Around `npm pack`: names the packages that travel inside the tarball, and takes the names out again.
 *
 * npm ignores the overrides and workspaces of a package it installs, and without them ringpop and tchannel want native
 * packages that need a compiler. Inside the tarball they keep what they were given here. The names cannot stay in
 * package.json: with them and the workspaces, npm 11 installs in this folder without an end.
 *
 *     node bin/bundle.mjs on|off
 *
 * Both may be repeated; a pack that was interrupted is mended by `off`.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

/** What they depend on follows them. */
const bundled = ['farmhash', 'ringpop', 'tchannel']

const file = join(fileURLToPath(new URL('.', import.meta.url)), '..', 'package.json')
const word = process.argv[2]
if (word !== 'on' && word !== 'off') {
  process.stderr.write('Use: node bin/bundle.mjs on|off\n')
  process.exit(2)
}
const { bundleDependencies: _, ...content } = JSON.parse(readFileSync(file, 'utf8'))
const wanted = word === 'on' ? { ...content, bundleDependencies: bundled } : content
writeFileSync(file, `${JSON.stringify(wanted, null, 2)}\n`)
