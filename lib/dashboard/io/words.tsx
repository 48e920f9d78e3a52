/** DISPLAY_MARKDOWN and DISPLAY_HTML; what renders them is loaded on first use. */
import { lazy, Suspense } from 'react'
import { textOf } from '../props.js'
import { displayMethod, type FieldProps } from './method.js'

const MarkdownView = lazy(() => import('./markdown-view.js'))
const HtmlView = lazy(() => import('./html-view.js'))

const waiting = <span className="block h-4 w-2/3 animate-pulse rounded bg-sunken" />

export const markdown = displayMethod(({ component }: FieldProps<unknown>) => (
  <Suspense fallback={waiting}>
    <MarkdownView text={component.label} />
  </Suspense>
))

export const html = displayMethod(({ component }: FieldProps<unknown>) => (
  <div className="grid min-w-0 gap-2">
    {component.label !== '' && <p className="font-medium">{component.label}</p>}
    <Suspense fallback={waiting}>
      <HtmlView html={textOf(component.props, 'html') ?? ''} />
    </Suspense>
  </div>
))
