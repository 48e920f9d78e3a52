/** DISPLAY_OBJECT: any nested value as a tree; small containers are open, large ones closed. */
import { CopyButton } from '../components/copy-button.js'
import { DownloadButton } from '../components/download-button.js'
import { ObjectTree } from '../components/object-tree.js'
import { indentedJson } from '../format.js'
import { displayMethod, type FieldProps } from './method.js'

export const object = displayMethod(({ component }: FieldProps<unknown>) => {
  const json = indentedJson(component.props.data)
  return (
    <div className="grid min-w-0 gap-2">
      <div className="flex flex-wrap items-end justify-between gap-2">
        <p className="font-medium">{component.label}</p>
        <div className="flex gap-2">
          <CopyButton text={json} />
          <DownloadButton
            text={json}
            type="application/json"
            fileName={`${component.label || 'object'}.json`}
          />
        </div>
      </div>
      <section
        aria-label={component.label || 'Object'}
        // biome-ignore lint/a11y/noNoninteractiveTabindex: it scrolls, so the keyboard must reach it
        tabIndex={0}
        className="card overflow-x-auto p-4 font-mono text-sm"
      >
        <ObjectTree value={component.props.data} />
      </section>
    </div>
  )
})
