/**
 * INPUT_RICH_TEXT: formatted words. The draft is the HTML that is sent. The editor is larger than all other methods
 * together and is loaded when the first one is shown.
 */
import { lazy, Suspense, useRef } from 'react'
import { flagOf, textOf } from '../props.js'
import { FieldFrame } from './field.js'
import { type FieldProps, inputMethod, isText, readEmpty } from './method.js'
import { isEmptyHtml } from './rich-text-value.js'

const RichTextEditor = lazy(() => import('./rich-text-editor.js'))

export const richText = inputMethod<string>({
  initial: component => textOf(component.props, 'defaultValue') ?? '',
  accepts: isText,
  read: (draft, component) => (isEmptyHtml(draft) ? readEmpty(component) : { value: draft }),
  View: RichTextField,
})

function RichTextField({ id, component, draft, onDraft, isDisabled, error }: FieldProps<string>) {
  const awaitedFrom = useRef<Element | null>(null)
  const lead = () => {
    const editor = document.getElementById(id)
    awaitedFrom.current = editor === null ? document.activeElement : null
    editor?.focus()
  }
  return (
    <FieldFrame id={id} component={component} error={error} onLabel={lead}>
      <Suspense fallback={<div className="control h-[187px] animate-pulse" aria-hidden="true" />}>
        <RichTextEditor
          id={id}
          component={component}
          html={draft}
          onHtml={onDraft}
          isDisabled={isDisabled || flagOf(component.props, 'disabled')}
          error={error}
          awaitedFrom={awaitedFrom}
        />
      </Suspense>
    </FieldFrame>
  )
}
