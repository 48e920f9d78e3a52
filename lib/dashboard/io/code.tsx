/** DISPLAY_CODE: a labelled block of code, to read, copy or download. Its colours are loaded on first use. */
import { useEffect, useState } from 'react'
import { CopyButton } from '../components/copy-button.js'
import { DownloadButton } from '../components/download-button.js'
import { dedent } from '../format.js'
import { textOf } from '../props.js'
import { displayMethod, type FieldProps } from './method.js'

/** Larger ones are shown without colours: finding them takes longer than reading the code. */
const colouredCharactersMax = 200_000

const endings: Record<string, string> = {
  bash: 'sh',
  javascript: 'js',
  markdown: 'md',
  python: 'py',
  ruby: 'rb',
  rust: 'rs',
  shell: 'sh',
  typescript: 'ts',
  yaml: 'yml',
}

export const code = displayMethod(({ component }: FieldProps<unknown>) => {
  // Blank lines around the code are the quotes' it was written in.
  const source = dedent(textOf(component.props, 'code') ?? '').replace(/^(?:[ \t]*\r?\n)+|\s+$/g, '')
  const language = textOf(component.props, 'language')?.toLowerCase()
  const ending =
    language === undefined ? 'txt' : (endings[language] ?? language.replace(/[^a-z0-9]/g, '')) || 'txt'
  return (
    <figure className="grid min-w-0 gap-1.5">
      <div className="flex flex-wrap items-end justify-between gap-2">
        <figcaption className="font-medium">{component.label}</figcaption>
        <div className="flex gap-2">
          <CopyButton text={source} />
          <DownloadButton
            text={source}
            type="text/plain"
            fileName={`${component.label || 'code'}.${ending}`}
          />
        </div>
      </div>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it */}
      <pre className="code-block" tabIndex={0}>
        <Coloured source={source} language={language} />
      </pre>
    </figure>
  )
})

function Coloured({ source, language }: { source: string; language: string | undefined }) {
  const [html, setHtml] = useState<string | null>(null)
  useEffect(() => {
    let isOver = false
    setHtml(null)
    if (source.length > colouredCharactersMax) return
    import('./highlight.js').then(
      ({ highlighted }) => !isOver && setHtml(highlighted(source, language)),
      // Without colours it reads as well.
      () => undefined,
    )
    return () => {
      isOver = true
    }
  }, [source, language])
  if (html === null) return <code>{source}</code>
  // biome-ignore lint/security/noDangerouslySetInnerHtml: the library escapes the source and adds spans only
  return <code dangerouslySetInnerHTML={{ __html: html }} />
}
