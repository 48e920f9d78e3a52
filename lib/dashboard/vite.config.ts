/**
 * Builds the browser app into dist/dashboard. Types are checked first, with the same compiler as the server, so that
 * a build that ends well is a checked one. No inline script is produced: the server's policy is `script-src 'self'`.
 */
import { spawnSync } from 'node:child_process'
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { brotliCompressSync, constants, gzipSync } from 'node:zlib'
import tailwindcss from '@tailwindcss/vite'
import react from '@vitejs/plugin-react'
import { defineConfig, type Plugin } from 'vite'

const here = fileURLToPath(new URL('.', import.meta.url))
const compiler = fileURLToPath(new URL('../../node_modules/tsc7/bin/tsc', import.meta.url))

function checkedTypes(): Plugin {
  return {
    name: 'checked-types',
    apply: 'build',
    buildStart() {
      const run = spawnSync(process.execPath, [compiler, '-p', `${here}tsconfig.json`], { encoding: 'utf8' })
      if (run.status !== 0) this.error(`types do not hold:\n${run.stdout}${run.stderr}`)
    },
  }
}

/** Puts `.gz` and `.br` beside what is worth it; a node serves them to browsers that take them. */
function compressed(): Plugin {
  return {
    name: 'compressed',
    apply: 'build',
    writeBundle({ dir }) {
      const assets = join(dir ?? '', 'assets')
      for (const name of readdirSync(assets).filter(name => /\.(js|css)$/.test(name))) {
        const path = join(assets, name)
        const body = readFileSync(path)
        writeFileSync(`${path}.gz`, gzipSync(body, { level: 9 }))
        writeFileSync(
          `${path}.br`,
          brotliCompressSync(body, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } }),
        )
      }
    },
  }
}

export default defineConfig({
  root: here,
  base: '/',
  plugins: [checkedTypes(), react(), tailwindcss(), compressed()],
  build: {
    outDir: '../../dist/dashboard',
    emptyOutDir: true,
    // Data URLs would be inlined scripts' little sisters; every asset is a file that can be cached for ever.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    target: 'es2022',
  },
})
