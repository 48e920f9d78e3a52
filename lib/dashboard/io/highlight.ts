/** Colours for code: HTML in which the source is escaped and its parts are spans. Loaded when the first code is shown. */
import library from 'highlight.js/lib/common'

/** Null when the language is unknown and cannot be told from the source. */
export function highlighted(source: string, language: string | undefined): string | null {
  if (language !== undefined && library.getLanguage(language)) {
    return library.highlight(source, { language, ignoreIllegals: true }).value
  }
  return language === undefined ? library.highlightAuto(source).value : null
}
