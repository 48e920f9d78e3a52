/** DISPLAY_LINK: one link, drawn as a button. An address that could run script is shown as words only. */
import { LinkItem } from '../components/link-item.js'
import { targetOf } from '../links.js'
import { textOf } from '../props.js'
import { themeClass } from './button-links.js'
import { displayMethod, type FieldProps } from './method.js'

export const link = displayMethod(({ component, place }: FieldProps<unknown>) => {
  const target = targetOf(component.props, place)
  if (target === null) return <p className="text-muted">{component.label}</p>
  return (
    <span className={`btn justify-self-start ${themeClass(component.props.theme)}`}>
      <LinkItem target={target} className="" download={textOf(component.props, 'download')}>
        {component.label}
      </LinkItem>
    </span>
  )
})
