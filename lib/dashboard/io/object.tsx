/** DISPLAY_OBJECT: any nested value as a tree; small containers are open, large ones closed. */
import { ObjectTree } from '../components/object-tree.js'
import { displayMethod, type FieldProps } from './method.js'

export const object = displayMethod(({ component }: FieldProps<unknown>) => (
  <div className="grid min-w-0 gap-2">
    <p className="font-medium">{component.label}</p>
    <div className="card overflow-x-auto p-4 font-mono text-sm">
      <ObjectTree value={component.props.data} />
    </div>
  </div>
))
