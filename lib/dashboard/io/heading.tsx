/** DISPLAY_HEADING: a heading of level 2 to 4 with a description and links. */
import { numberOf, recordsOf, textOf } from '../props.js'
import { ButtonLinks } from './button-links.js'
import { displayMethod, type FieldProps } from './method.js'

export const heading = displayMethod(Heading)

const sizes = { 2: 'text-xl font-semibold', 3: 'text-lg font-semibold', 4: 'font-semibold' }

function Heading({ component, place }: FieldProps<unknown>) {
  const wanted = numberOf(component.props, 'level')
  const level = wanted === 3 || wanted === 4 ? wanted : 2
  const Tag = `h${level}` as const
  const description = textOf(component.props, 'description')
  return (
    <div className="flex flex-wrap items-start justify-between gap-3">
      <div className="grid gap-1">
        <Tag className={sizes[level]}>{component.label}</Tag>
        {description !== undefined && <p className="text-muted">{description}</p>}
      </div>
      <ButtonLinks items={recordsOf(component.props, 'menuItems')} place={place} />
    </div>
  )
}
