/** DISPLAY_CODE: a labelled block of code. */
import { CopyButton } from '../components/copy-button.js'
import { dedent } from '../format.js'
import { textOf } from '../props.js'
import { displayMethod, type FieldProps } from './method.js'

export const code = displayMethod(({ component }: FieldProps<unknown>) => {
  const source = dedent(textOf(component.props, 'code') ?? '')
  return (
    <figure className="grid min-w-0 gap-1.5">
      <figcaption className="font-medium">{component.label}</figcaption>
      <div className="relative min-w-0">
        <pre className="code-block pr-24">
          <code>{source}</code>
        </pre>
        <div className="absolute top-1.5 right-1.5">
          <CopyButton text={source} />
        </div>
      </div>
    </figure>
  )
})
